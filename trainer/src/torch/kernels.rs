//! CUDA kernels of our own, compiled when they are first needed by the NVRTC that every CUDA build of torch brings along.
//!
//! Nothing is linked: NVRTC and the driver are opened at run time, and where that fails the callers fall back to libtorch's
//! operations, after a warning that says why.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use tch::Device;

use super::shim::must;

unsafe extern "C" {
    fn shim_current_stream(device: c_int, handle: *mut *mut c_void) -> c_int;
}

/// Threads of a block.
pub const THREADS: u32 = 256;

/// A source file of ours, compiled for the first device that it is needed on.
pub struct Source {
    /// CUDA C++.
    pub text: &'static str,
    kernels: OnceLock<Option<Kernels>>,
}

impl Source {
    /// Not compiled yet.
    pub const fn new(text: &'static str) -> Self {
        let kernels = OnceLock::new();
        Self { text, kernels }
    }

    /// Its kernels; none where they cannot be had, which is said once, with the reason.
    pub fn on(&self, device: Device) -> Option<&Kernels> {
        let compile = || {
            Kernels::compile(self.text, device)
                .inspect_err(|e| {
                    tracing::warn!(
                        "a CUDA kernel is not used, libtorch's slower operations are: {e:#}"
                    );
                })
                .ok()
        };
        self.kernels.get_or_init(compile).as_ref()
    }
}

/// A compiled source file, loaded on one device.
pub struct Kernels {
    device: c_int,
    module: *mut c_void,
    driver: Library,
}

// SAFETY: a CUDA module belongs to its device's context and not to a thread; it is never unloaded.
unsafe impl Send for Kernels {}
// SAFETY: as above; the driver's functions may be called from any thread.
unsafe impl Sync for Kernels {}

/// A number or a pointer that a kernel takes. Its size is that of the kernel's parameter.
#[derive(Debug, Clone, Copy)]
pub enum Argument {
    /// Memory on the device, or null.
    Pointer(*mut c_void),
    /// `int`.
    Int(i32),
    /// `long long`.
    Long(i64),
}

impl Kernels {
    /// Compiles `source` for `device`, without fused multiply-adds, and loads it.
    ///
    /// # Errors
    /// NVRTC or the driver cannot be opened or refuse; the compiler's log is part of the message.
    fn compile(source: &str, device: Device) -> Result<Self> {
        let Device::Cuda(index) = device else {
            bail!("{device:?} is no CUDA device");
        };
        let driver = Library::open(&[c"libcuda.so.1"])?;
        let device = c_int::try_from(index)?;
        driver.use_context(device)?;
        let cubin = compile(source, driver.capability(device)?)?;
        let mut module = null_mut();
        // SAFETY: this signature is the driver's; the pointers are to a live pointer and to a whole cubin.
        let status = unsafe {
            let load: unsafe extern "C" fn(*mut *mut c_void, *const c_void) -> c_int =
                std::mem::transmute(driver.function(c"cuModuleLoadData")?);
            load(&mut module, cubin.as_ptr().cast())
        };
        ensure!(status == 0, "cuModuleLoadData fails with {status}");
        Ok(Self {
            device,
            module,
            driver,
        })
    }

    /// Launches a kernel on the stream that libtorch computes on, `grid` blocks of [`THREADS`] threads.
    ///
    /// # Safety
    /// `arguments` are what the kernel takes, in type and order, and its memory is large enough.
    ///
    /// # Panics
    /// The driver refuses: a mistake of the caller, or a device that is lost.
    pub unsafe fn launch(&self, name: &CStr, grid: [u32; 2], arguments: &mut [Argument]) {
        let mut launched = || -> Result<()> {
            self.driver.use_context(self.device)?;
            let mut pointers: Vec<*mut c_void> = arguments
                .iter_mut()
                .map(|argument| match argument {
                    Argument::Pointer(value) => std::ptr::from_mut(value).cast(),
                    Argument::Int(value) => std::ptr::from_mut(value).cast(),
                    Argument::Long(value) => std::ptr::from_mut(value).cast(),
                })
                .collect();
            let (mut function, mut stream) = (null_mut(), null_mut());
            // SAFETY: these signatures are the driver's and the shim's; the pointers are to live values, and the caller
            // answers for the arguments.
            unsafe {
                must(shim_current_stream(self.device, &mut stream));
                let get: unsafe extern "C" fn(
                    *mut *mut c_void,
                    *mut c_void,
                    *const c_char,
                ) -> c_int = std::mem::transmute(self.driver.function(c"cuModuleGetFunction")?);
                let status = get(&mut function, self.module, name.as_ptr());
                ensure!(status == 0, "cuModuleGetFunction fails with {status}");
                #[allow(clippy::type_complexity)]
                let launch: unsafe extern "C" fn(
                    *mut c_void,
                    c_uint,
                    c_uint,
                    c_uint,
                    c_uint,
                    c_uint,
                    c_uint,
                    c_uint,
                    *mut c_void,
                    *mut *mut c_void,
                    *mut *mut c_void,
                ) -> c_int = std::mem::transmute(self.driver.function(c"cuLaunchKernel")?);
                let [across, down] = grid;
                let status = launch(
                    function,
                    across,
                    down,
                    1,
                    THREADS,
                    1,
                    1,
                    0,
                    stream,
                    pointers.as_mut_ptr(),
                    null_mut(),
                );
                ensure!(status == 0, "cuLaunchKernel fails with {status}");
            }
            Ok(())
        };
        if let Err(e) = launched() {
            panic!("CUDA kernel {}: {e:#}", name.to_string_lossy());
        }
    }
}

/// A library of the system's, open for as long as the process lives.
struct Library(*mut c_void);

impl Library {
    /// The first of these that the loader finds.
    fn open(names: &[&CStr]) -> Result<Self> {
        for name in names {
            // SAFETY: the name is NUL-terminated, and the library's initialisers are its own.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            if !handle.is_null() {
                return Ok(Self(handle));
            }
        }
        // SAFETY: dlerror returns null or a NUL-terminated string that lives until this thread's next call.
        let why = unsafe {
            let message = libc::dlerror();
            match message.is_null() {
                true => String::new(),
                false => CStr::from_ptr(message).to_string_lossy().into_owned(),
            }
        };
        bail!("cannot open {names:?}: {why}")
    }

    fn function(&self, name: &CStr) -> Result<*mut c_void> {
        // SAFETY: the handle is an open library's, the name is NUL-terminated.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        ensure!(!found.is_null(), "there is no {name:?}");
        Ok(found)
    }

    /// Of the driver: makes the device's primary context, which is libtorch's, current where the thread has none.
    fn use_context(&self, device: c_int) -> Result<()> {
        // SAFETY: these signatures are the driver's, and the pointers are to live pointers.
        unsafe {
            let current: unsafe extern "C" fn(*mut *mut c_void) -> c_int =
                std::mem::transmute(self.function(c"cuCtxGetCurrent")?);
            let mut context = null_mut();
            if current(&mut context) == 0 && !context.is_null() {
                return Ok(());
            }
            let retain: unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int =
                std::mem::transmute(self.function(c"cuDevicePrimaryCtxRetain")?);
            let set: unsafe extern "C" fn(*mut c_void) -> c_int =
                std::mem::transmute(self.function(c"cuCtxSetCurrent")?);
            let status = match retain(&mut context, device) {
                0 => set(context),
                status => status,
            };
            ensure!(status == 0, "device {device} has no context: {status}");
        }
        Ok(())
    }

    /// Of the driver: the device's compute capability, 90 for 9.0.
    fn capability(&self, device: c_int) -> Result<c_int> {
        const MAJOR: c_int = 75;
        const MINOR: c_int = 76;
        // SAFETY: this signature is the driver's; the pointer is to a live number.
        let read = unsafe {
            let read: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int =
                std::mem::transmute(self.function(c"cuDeviceGetAttribute")?);
            move |attribute| {
                let mut value = 0;
                let status = read(&mut value, attribute, device);
                ensure!(status == 0, "cuDeviceGetAttribute fails with {status}");
                Ok(value)
            }
        };
        Ok(10 * read(MAJOR)? + read(MINOR)?)
    }
}

/// The source as machine code for a compute capability.
fn compile(source: &str, capability: c_int) -> Result<Vec<u8>> {
    type Program = *mut c_void;
    // The first is torch's, which finds its own NVRTC beside it.
    let nvrtc = Library::open(&[c"libcaffe2_nvrtc.so", c"libnvrtc.so.13"])?;
    let source = CString::new(source)?;
    let options = [
        CString::new(format!("--gpu-architecture=sm_{capability}"))?,
        c"--fmad=false".to_owned(),
    ];
    // SAFETY: these signatures are NVRTC's; strings are NUL-terminated, buffers as long as NVRTC says that they must be,
    // and the program is destroyed once.
    unsafe {
        let create: unsafe extern "C" fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int = std::mem::transmute(nvrtc.function(c"nvrtcCreateProgram")?);
        let compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int =
            std::mem::transmute(nvrtc.function(c"nvrtcCompileProgram")?);
        let destroy: unsafe extern "C" fn(*mut Program) -> c_int =
            std::mem::transmute(nvrtc.function(c"nvrtcDestroyProgram")?);
        type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
        type Get = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
        let read = |program: Program, size: &CStr, get: &CStr| -> Result<Vec<u8>> {
            let size_of: Size = std::mem::transmute(nvrtc.function(size)?);
            let get: Get = std::mem::transmute(nvrtc.function(get)?);
            let mut n = 0;
            ensure!(size_of(program, &mut n) == 0, "{size:?} fails");
            let mut bytes = vec![0; n];
            ensure!(get(program, bytes.as_mut_ptr().cast()) == 0, "it fails");
            Ok(bytes)
        };
        let mut program = null_mut();
        let status = create(
            &mut program,
            source.as_ptr(),
            c"logodex.cu".as_ptr(),
            0,
            std::ptr::null(),
            std::ptr::null(),
        );
        ensure!(status == 0, "nvrtcCreateProgram fails with {status}");
        let pointers = options.each_ref().map(|option| option.as_ptr());
        let status = compile(program, pointers.len() as c_int, pointers.as_ptr());
        let result = match status {
            0 => read(program, c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN"),
            _ => {
                let log = read(program, c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog");
                let log = log.unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                Err(anyhow::anyhow!("NVRTC fails with {status}: {log}"))
            }
        };
        destroy(&mut program);
        result.context("the CUDA kernels do not compile")
    }
}
