//! Log messages by defmt, where that is wanted. Nothing secret is ever logged: codes, lengths, handles.

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
