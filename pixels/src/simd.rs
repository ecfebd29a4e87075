//! Code that is compiled twice: for every processor, and for those with AVX2, where the compiler makes wider vectors of
//! it and a few kernels are written by hand. Both do the same arithmetic on integers, so that every processor finds the
//! same bits.
//!
//! Who holds an [`Avx2`] may run what is compiled for AVX2, and only [`Avx2::detect`] makes one.

/// Proof that this processor has AVX2, BMI1, BMI2, LZCNT and POPCNT. It takes no room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, where this processor has them all.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        #[cfg(test)]
        if PLAIN.get() {
            return None;
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            return Some(Self(()));
        }
        None
    }
}

/// Defines a function that runs `body`, an `#[inline(always)]` function of the same signature with one argument before
/// the others: the `Option<Avx2>` that it may go by. Each of the two compilations has it as a constant.
macro_rules! twice {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident;) => {
        $(#[$doc])*
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            if let Some(avx2) = $crate::simd::Avx2::detect() {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
                fn wide(avx2: $crate::simd::Avx2, $($arg: $type),*) $(-> $out)? {
                    $body(Some(avx2), $($arg),*)
                }
                // SAFETY: an `Avx2` proves that the processor has what the function is compiled for.
                return unsafe { wide(avx2, $($arg),*) };
            }
            $body(None, $($arg),*)
        }
    };
}
pub(crate) use twice;

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
