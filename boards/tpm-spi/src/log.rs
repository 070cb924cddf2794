//! Log messages through defmt, if the feature `defmt` is enabled. Log codes, lengths and handles only, and no secrets.

macro_rules! log {
    ($level:ident, $format:literal $(, $value:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($format $(, $value)*);
        #[cfg(not(feature = "defmt"))]
        {
            $( let _ = &$value; )*
        }
    }};
}

pub(crate) use log;
