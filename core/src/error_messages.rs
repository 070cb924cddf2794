/// Implements `Display` for an error type from one table of messages. With the crate's feature `defmt`, also implements
/// `defmt::Format`, whose message texts take no space in flash.
///
/// Use the placeholder `{}` for numbers, text, and other errors that implement both traits, and `{:?}` for values that implement
/// `Debug` and `defmt::Format`. The bound given for a type parameter applies to the implementation of `Display`.
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
