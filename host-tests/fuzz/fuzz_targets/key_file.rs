//! A TSS2 PEM key file. What was read is written and read again.
#![no_main]

use chanbind::tpm::KeyFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pem: &str| {
    if let Ok(file) = KeyFile::from_pem(pem) {
        let written = file.to_pem().expect("what was read can be written");
        assert_eq!(
            KeyFile::from_pem(&written).expect("what was written can be read"),
            file
        );
    }
});
