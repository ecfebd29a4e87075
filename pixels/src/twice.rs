//! Plain code, compiled twice: for every processor, and for those with AVX2, where the compiler makes wider vectors of it
//! and a few kernels are written by hand. Both do the same arithmetic on integers, so that every processor finds the same
//! bits.

/// Defines a function that runs `body`, an `#[inline(always)]` function of the same signature with one constant more:
/// whether it is compiled for AVX2, and may call what needs it.
macro_rules! twice {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $out:ty = $body:ident;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
                fn wide($($arg: $type),*) -> $out {
                    $body::<true>($($arg),*)
                }
                if $crate::twice::has_wide() {
                    // SAFETY: the processor has what the function is compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            $body::<false>($($arg),*)
        }
    };
}
pub(crate) use twice;

/// Whether the processor has what the wide functions are compiled for.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_wide() -> bool {
    #[cfg(test)]
    if PLAIN.get() {
        return false;
    }
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(test)]
thread_local! {
    static PLAIN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work` as a processor without AVX2 would.
#[cfg(test)]
pub(crate) fn plainly<R>(work: impl FnOnce() -> R) -> R {
    PLAIN.set(true);
    let result = work();
    PLAIN.set(false);
    result
}
