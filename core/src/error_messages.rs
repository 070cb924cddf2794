/// What the values of an error say to people, written once: for `Display`, and with the crate's feature `defmt` for
/// `defmt::Format`, whose words take no room in flash.
///
/// Placeholders are `{}` for numbers, text, and other errors that have both; `{:?}` for what has `Debug` and `defmt::Format`. The
/// bound of a type parameter is that of `Display`.
#[doc(hidden)]
#[macro_export]
macro_rules! error_messages {
    ($type:ty $(where $parameter:ident: $bound:path)? { $($(#[$attribute:meta])* $pattern:pat => $format:literal $(, $value:expr)*;)+ }) => {
        impl $(<$parameter: $bound>)? ::core::fmt::Display for $type {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    $($(#[$attribute])* $pattern => ::core::write!(f, $format $(, $value)*),)+
                }
            }
        }

        #[cfg(feature = "defmt")]
        impl $(<$parameter: ::defmt::Format>)? ::defmt::Format for $type {
            fn format(&self, f: ::defmt::Formatter<'_>) {
                match self {
                    $($(#[$attribute])* $pattern => ::defmt::write!(f, $format $(, $value)*),)+
                }
            }
        }
    };
}
