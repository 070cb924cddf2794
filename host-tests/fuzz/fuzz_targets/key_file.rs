//! TSS2 PEM key files. A parsed file is encoded and parsed again.
#![no_main]

use chanbind::tpm::KeyFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pem: &str| {
    if let Ok(file) = KeyFile::from_pem(pem) {
        let encoded = file.to_pem().expect("a parsed file can be encoded");
        assert_eq!(
            KeyFile::from_pem(&encoded).expect("an encoded file can be parsed"),
            file
        );
    }
});
