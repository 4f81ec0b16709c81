//! Names of constants as text, for people who debug.

use std::ffi::CStr;

/// Lists an enum's values, and has each one's name as text. A value that is left out does not compile.
macro_rules! named {
    ($kind:ident, $unknown:literal, { $($value:ident),* $(,)? }) => {
        impl $kind {
            fn name(self) -> &'static std::ffi::CStr {
                match self {
                    $($kind::$value => $crate::ffi::names::terminated(concat!(stringify!($value), "\0")),)*
                }
            }

            pub(in crate::ffi) fn name_of(number: i64) -> &'static std::ffi::CStr {
                [$($kind::$value),*].into_iter().find(|value| *value as i64 == number).map_or($unknown, Self::name)
            }
        }
    };
}

pub(super) fn terminated(text: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or_default()
}

pub(super) use named;
