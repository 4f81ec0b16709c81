//! Parameters of a consensus: names, defaults and ranges in one table each, so that they cannot differ.

/// Why a parameter was not set. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unset {
    /// No parameter of this table has that name.
    NoName,
    /// It goes from the one to the other.
    Range(u32, u32),
    /// A consensus may say so, but what this value asks for is not built.
    NotBuilt,
}

/// Writes a struct of parameters from a table of `field, "name" = default in least..=most`, and where not all of that
/// is built, the part that is.
macro_rules! parameters {
    (@built $all:expr) => { $all };
    (@built $all:expr, $some:expr) => { $some };
    (
        $(#[$about:meta])*
        pub struct $Table:ident, $DEFAULT:ident;
        $($(#[doc = $doc:literal])+ $field:ident, $name:literal = $default:literal in $min:literal ..= $max:expr
            $(, built $least:literal ..= $most:literal)?;)+
    ) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct $Table {
            $($(#[doc = $doc])+ pub $field: u32,)+
        }

        impl $Table {
            /// Name in a consensus, smallest and largest value of each parameter.
            #[allow(dead_code, reason = "tests try each of them")]
            pub const RANGES: &[(&str, u32, u32)] = &[$(($name, $min, $max)),+];

            const $DEFAULT: $Table = $Table { $($field: $default),+ };

            /// Sets the parameter of that name. How it relates to others is not checked: a consensus sets each on its
            /// own, and any combination works, if slowly (CC-26).
            pub fn set(&mut self, name: &str, value: u32) -> Result<(), $crate::base::consensus::Unset> {
                use $crate::base::consensus::{parameters, Unset};
                let (field, range, built) = match name {
                    $($name => (
                        &mut self.$field,
                        $min..=$max,
                        parameters!(@built $min..=$max $(, $least..=$most)?),
                    ),)+
                    _ => return Err(Unset::NoName),
                };
                if !range.contains(&value) {
                    return Err(Unset::Range(*range.start(), *range.end()));
                }
                if !built.contains(&value) {
                    return Err(Unset::NotBuilt);
                }
                *field = value;
                Ok(())
            }

            /// The parameter of that name.
            pub fn get(&self, name: &str) -> Option<u32> {
                match name {
                    $($name => Some(self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use parameters;
