//! Object identifiers, as the contents of an OBJECT IDENTIFIER in DER (X.690 section 8.19).

/// Defines constants, each with its dotted form, which a test compares with the bytes.
macro_rules! object_identifiers {
    ($($(#[$doc:meta])* $name:ident = $dotted:literal: $bytes:expr;)*) => {
        $(
            $(#[$doc])*
            #[doc = concat!("\n\n`", $dotted, "`")]
            #[allow(dead_code, reason = "each feature uses some of them")]
            pub(crate) const $name: &[u8] = &$bytes;
        )*

        #[cfg(test)]
        const ALL: &[(&str, &[u8])] = &[$(($dotted, $name)),*];
    };
}

object_identifiers! {
    /// id-at-commonName (RFC 5280 appendix A.1).
    COMMON_NAME = "2.5.4.3": [0x55, 4, 3];
    /// id-ce-keyUsage (RFC 5280 section 4.2.1.3).
    KEY_USAGE = "2.5.29.15": [0x55, 0x1d, 15];
    /// id-ce-subjectAltName (RFC 5280 section 4.2.1.6).
    SUBJECT_ALT_NAME = "2.5.29.17": [0x55, 0x1d, 17];
    /// id-ce-extKeyUsage (RFC 5280 section 4.2.1.12).
    EXTENDED_KEY_USAGE = "2.5.29.37": [0x55, 0x1d, 37];

    /// id-ecPublicKey (RFC 5480 section 2.1.1).
    EC_PUBLIC_KEY = "1.2.840.10045.2.1": [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    /// secp256r1, also named prime256v1 and P-256 (RFC 5480 section 2.1.1.1).
    SECP256R1 = "1.2.840.10045.3.1.7": [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

    /// md5 (RFC 8017 appendix B.1).
    MD5 = "1.2.840.113549.2.5": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5];
    /// id-sha1 (RFC 8017 appendix B.1).
    SHA1 = "1.3.14.3.2.26": [0x2b, 14, 3, 2, 26];
    /// id-sha256 (RFC 8017 appendix B.1).
    SHA256 = "2.16.840.1.101.3.4.2.1": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 1];
    /// id-sha384 (RFC 8017 appendix B.1).
    SHA384 = "2.16.840.1.101.3.4.2.2": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 2];
    /// id-sha512 (RFC 8017 appendix B.1).
    SHA512 = "2.16.840.1.101.3.4.2.3": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 3];
    /// id-sha224 (RFC 8017 appendix B.1).
    SHA224 = "2.16.840.1.101.3.4.2.4": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 4];
    /// id-sha512-224 (RFC 8017 appendix B.1).
    SHA512_224 = "2.16.840.1.101.3.4.2.5": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 5];
    /// id-sha512-256 (RFC 8017 appendix B.1).
    SHA512_256 = "2.16.840.1.101.3.4.2.6": [0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 6];

    /// md5WithRSAEncryption (RFC 8017 appendix A.2.4).
    MD5_WITH_RSA = "1.2.840.113549.1.1.4": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
    /// sha1WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA1_WITH_RSA = "1.2.840.113549.1.1.5": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
    /// id-mgf1 (RFC 8017 appendix B.2.1).
    MGF1 = "1.2.840.113549.1.1.8": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    /// id-RSASSA-PSS (RFC 8017 appendix A.2.3).
    RSASSA_PSS = "1.2.840.113549.1.1.10": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    /// sha256WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA256_WITH_RSA = "1.2.840.113549.1.1.11": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    /// sha384WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA384_WITH_RSA = "1.2.840.113549.1.1.12": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
    /// sha512WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA512_WITH_RSA = "1.2.840.113549.1.1.13": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
    /// sha224WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA224_WITH_RSA = "1.2.840.113549.1.1.14": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14];
    /// sha512-224WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA512_224_WITH_RSA = "1.2.840.113549.1.1.15": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 15];
    /// sha512-256WithRSAEncryption (RFC 8017 appendix A.2.4).
    SHA512_256_WITH_RSA = "1.2.840.113549.1.1.16": [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 16];

    /// ecdsa-with-SHA1 (RFC 3279 section 2.2.3).
    ECDSA_WITH_SHA1 = "1.2.840.10045.4.1": [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    /// ecdsa-with-SHA224 (RFC 5758 section 3.2).
    ECDSA_WITH_SHA224 = "1.2.840.10045.4.3.1": [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1];
    /// ecdsa-with-SHA256 (RFC 5758 section 3.2).
    ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2": [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    /// ecdsa-with-SHA384 (RFC 5758 section 3.2).
    ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3": [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    /// ecdsa-with-SHA512 (RFC 5758 section 3.2).
    ECDSA_WITH_SHA512 = "1.2.840.10045.4.3.4": [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];

    /// id-dsa-with-sha1 (RFC 3279 section 2.2.2).
    DSA_WITH_SHA1 = "1.2.840.10040.4.3": [0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3];
    /// id-dsa-with-sha224 (RFC 5758 section 3.1).
    DSA_WITH_SHA224 = "2.16.840.1.101.3.4.3.1": [0x60, 0x86, 0x48, 1, 101, 3, 4, 3, 1];
    /// id-dsa-with-sha256 (RFC 5758 section 3.1).
    DSA_WITH_SHA256 = "2.16.840.1.101.3.4.3.2": [0x60, 0x86, 0x48, 1, 101, 3, 4, 3, 2];

    /// id-Ed25519 (RFC 8410 section 3).
    ED25519 = "1.3.101.112": [0x2b, 101, 112];
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::vec::Vec;

    extern crate std;

    /// Encodes a number in base 128, most significant digit first, with bit 8 set in all digits but the last.
    fn base128(number: u32) -> Vec<u8> {
        let mut digits = std::vec![u8::try_from(number & 0x7f).unwrap()];
        let mut rest = number >> 7;
        while rest != 0 {
            digits.insert(0, u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        digits
    }

    #[test]
    fn bytes_encode_the_dotted_form() {
        for (dotted, bytes) in ALL {
            let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
            let mut encoded = base128(arcs[0] * 40 + arcs[1]);
            for &arc in &arcs[2..] {
                encoded.extend(base128(arc));
            }
            assert_eq!(encoded, *bytes, "{dotted}");
        }
    }

    #[test]
    fn no_identifier_is_listed_twice() {
        for (at, (dotted, _)) in ALL.iter().enumerate() {
            assert!(
                !ALL[..at].iter().any(|(other, _)| other == dotted),
                "{dotted}"
            );
        }
    }
}
