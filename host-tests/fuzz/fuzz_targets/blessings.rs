//! Blessings, discharges and caveats from any bytes: the decoders are total, and the encoder writes what they have read.
#![no_main]

#[path = "../shared/accept_all.rs"]
mod accept_all;

use accept_all::algorithms;
use chanbind_core::blessing::{
    Caveat, CheckContext, EncodedBlessings, MAX_DEPTH, NameList, Roots, Time, Timestamp,
};
use libfuzzer_sys::fuzz_target;

/// Recognizes every root.
struct All;

impl Roots for All {
    fn are_of(&self, _: &[u8], _: &str) -> bool {
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let algorithms = algorithms();
    let local_names = NameList::new();
    let discharges: &[&[u8]] = &[data];
    let context = CheckContext {
        time: Time::At(Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        }),
        method: "Get",
        method_tags: &["Read"],
        local_names: &local_names,
        discharges: &discharges,
        algorithms: &algorithms,
    };
    if let Some((id, parameter)) = data.split_first_chunk() {
        let caveat = Caveat { id: *id, parameter };
        let _ = caveat.check(&context);
        let _ = caveat.time();
        let _ = caveat.for_each_string(&mut |_| {});
        let _ = caveat.with_third_party(|party| {
            let _ = party.caveats().for_each(&mut |_| Ok(()));
            party.with_id(&algorithms, |id| assert!(!id.is_empty()))
        });
    }
    let Ok(encoded) = EncodedBlessings::parse(data) else {
        return;
    };
    let blessings = encoded.blessings();
    let mut count = 0;
    let walked = blessings.for_each(&mut |place, certificate| {
        assert!(place.index < MAX_DEPTH);
        count += certificate.caveats.len();
        Ok(())
    });
    let Ok(verified) = blessings.verify(&algorithms) else {
        return;
    };
    walked.expect("blessings that are valid can be read");
    let names = verified.names(&All, &context, &mut |_, _, _| {});
    let claimed = verified
        .claimed_names()
        .expect("there is room for names that were verified");
    if let Ok(names) = names {
        assert!(
            names
                .iter()
                .all(|name| claimed.iter().any(|one| one == name))
        );
    }
    // Encoded again, they are the same certificates.
    let mut out = vec![0; data.len() + 2048];
    let again = blessings.encode(&mut out).expect("there is room");
    let again = EncodedBlessings::parse(again).expect("it was encoded by this crate");
    let verified_again = again.blessings().verify(&algorithms);
    let verified_again = verified_again.expect("it was verified before");
    assert_eq!(verified.unique_id(), verified_again.unique_id());
    let _ = count;
});
