//! Certificates, as far as tls-server-end-point reads them.
#![no_main]

use chanbind_core::binding::ChannelBinding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|certificate: &[u8]| {
    if let Ok(binding) = ChannelBinding::tls_server_end_point(certificate) {
        assert!(matches!(binding.as_bytes().len(), 28 | 32 | 48 | 64));
    }
});
