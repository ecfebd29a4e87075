//! Where the page may be served: to this machine, and to no other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use logodex_program::failure::usage;

/// Where it is served unless another address is given. A fixed port: a browser keeps unwritten answers by it.
pub const DEFAULT: &str = "127.0.0.1:8377";
const DEFAULT_PORT: u16 = 8377;

/// The address that `ADDRESS[:PORT]`, `:PORT` or `localhost[:PORT]` means, if it is a loopback one.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let named = text.strip_prefix("localhost").unwrap_or(text);
    let address = match named.strip_prefix(':') {
        // `::1` is an address, `:8000` a port.
        Some(port) if !port.contains(':') => port.parse().ok().map(|p| SocketAddr::new(home, p)),
        _ if named.is_empty() && !text.is_empty() => Some(SocketAddr::new(home, DEFAULT_PORT)),
        _ => named.parse().ok().or_else(|| {
            let alone = named.parse().ok()?;
            Some(SocketAddr::new(alone, DEFAULT_PORT))
        }),
    };
    let Some(address) = address else {
        return Err(format!(
            "no address; give one as {DEFAULT}, [::1]:8377, or :0 for a free port"
        ));
    };
    if !address.ip().is_loopback() {
        return Err(format!(
            "{} can be reached from other machines, and whoever reaches the page may write your answers and read the raw \
             tree; it is served on loopback only, as {DEFAULT}. From afar, forward a port: \
             ssh -L 8377:{DEFAULT} HOST",
            address.ip()
        ));
    }
    Ok(address)
}

/// Begins to listen.
///
/// # Errors
/// Usage: the port is taken or may not be used.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        usage(format!(
            "--serve: cannot listen on {address}: {error}; give another port, or :0 for a free one"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_taken_and_no_others() {
        for (text, means) in [
            (DEFAULT, "127.0.0.1:8377"),
            (":0", "127.0.0.1:0"),
            ("localhost", "127.0.0.1:8377"),
            ("localhost:80", "127.0.0.1:80"),
            ("127.0.0.2", "127.0.0.2:8377"),
            ("[::1]:9", "[::1]:9"),
            ("::1", "[::1]:8377"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), means, "{text}");
        }
        for foreign in ["0.0.0.0:80", "192.168.0.4", "[::]:80", "::", "[fe80::1]:1"] {
            let error = parse(foreign).unwrap_err();
            assert!(error.contains("loopback only"), "{foreign}: {error}");
        }
        for nonsense in [
            "",
            "8000",
            ":",
            ":70000",
            "example.org:80",
            "localhostess:1",
            "localhost:x",
        ] {
            let error = parse(nonsense).unwrap_err();
            assert!(error.contains("no address"), "{nonsense}: {error}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = listen(parse(":0").unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let error = listen(taken).unwrap_err();
        assert_eq!(logodex_program::exit_code(&error), 2);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}
