//! Recorded values: encodings, names, caveats, patterns, access lists.

use crate::recorded::{fixed, list, live, octets, text, texts};
use chanbind_core::blessing::{
    AccessList, Algorithms, BlessingError, Caveat, CheckContext, EncodedBlessings, NameList,
    Pattern, Time, Timestamp, default_authorizes,
};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// All algorithms that hosts have.
const ALL: Algorithms = chanbind::proof::blessing::ALGORITHMS;

fn names(of: &Value) -> NameList {
    let mut names = NameList::new();
    for name in texts(of) {
        names.push(name).unwrap();
    }
    names
}

pub(crate) fn timestamp(rfc3339: &str) -> Timestamp {
    let time = OffsetDateTime::parse(rfc3339, &Rfc3339).unwrap();
    Timestamp {
        seconds: time.unix_timestamp(),
        nanoseconds: time.nanosecond(),
    }
}

/// Encodings that upstream accepts and this implementation rejects, with the reason.
fn stricter(id: &str) -> Option<BlessingError> {
    match id {
        "zero" => Some(BlessingError::NoChain),
        // Names that end in `$` are patterns that match shorter names.
        "odd_extension_2" | "odd_extension_6" => Some(BlessingError::Extension),
        // Upstream writes neither.
        "r_leading_zero" | "hash_other" => Some(BlessingError::Signature),
        _ => None,
    }
}

#[test]
fn recorded_blessings_are_verified_and_encoded_again() {
    let mut count = 0;
    for entry in list(&live()["vom"]["entries"]) {
        if entry["kind"] != "blessings" {
            continue;
        }
        let id = text(&entry["id"]);
        let vom = octets(&entry["vom"]);
        let encoded = EncodedBlessings::parse(&vom).unwrap();
        let verified = encoded.blessings().verify(&ALL);
        let expected = entry["accepted"].as_bool().unwrap() && stricter(id).is_none();
        assert_eq!(verified.is_ok(), expected, "{id}: {verified:?}");
        if let Some(reason) = stricter(id) {
            assert_eq!(verified.unwrap_err(), reason, "{id}");
            continue;
        }
        let Ok(verified) = verified else {
            continue;
        };
        count += 1;
        let claimed = verified.claimed_names().unwrap();
        let claimed: Vec<_> = claimed.iter().collect();
        assert_eq!(claimed.join(","), text(&entry["claimed_names"]), "{id}");
        assert_eq!(verified.unique_id(), octets(&entry["unique_id"]), "{id}");
        assert_eq!(
            verified.public_key().as_der(),
            octets(&entry["public_key"]),
            "{id}"
        );
        let mut out = vec![0; 4096];
        let again = encoded.blessings().encode(&mut out).unwrap();
        assert_eq!(again, vom, "{id}");
        let every_cut = (0..vom.len()).map(|len| &vom[..len]);
        for cut in every_cut {
            let result = EncodedBlessings::parse(cut)
                .and_then(|cut| cut.blessings().verify(&ALL).map(|_| ()));
            assert!(result.is_err(), "{id}");
        }
    }
    assert_eq!(count, 21);
}

#[test]
fn fixed_blessings_have_their_names_and_ids() {
    for (name, entry) in fixed()["generated"]["blessings"].as_object().unwrap() {
        let vom = octets(&entry["vom"]);
        let encoded = EncodedBlessings::parse(&vom).unwrap();
        let verified = encoded.blessings().verify(&ALL).unwrap();
        assert_eq!(verified.unique_id(), octets(&entry["unique_id"]), "{name}");
        let claimed = verified.claimed_names().unwrap();
        let claimed: Vec<_> = claimed.iter().collect();
        assert_eq!(claimed.join(","), text(&entry["names"]), "{name}");
        assert_eq!(verified.is_nameless(), claimed.is_empty());
    }
}

/// Caveats that upstream takes and this implementation does not: their parameters are not as upstream writes them.
const STRICTER_CAVEATS: [&str; 4] = [
    "Expiry with trailing octets after the VOM value",
    "Expiry with one trailing zero octet",
    "Const true followed by 0x00",
    "Method with an array of strings",
];

#[test]
fn recorded_caveats_are_checked_as_upstream_does() {
    let discharges = &live()["caveat_case_discharges"];
    let mut stricter = 0;
    for case in list(&live()["caveat_cases"]) {
        let what = text(&case["what"]);
        let (caveat, context) = (&case["caveat"], &case["context"]);
        let discharges: Vec<_> = texts(&context["discharges"])
            .into_iter()
            .map(|id| octets(&discharges[id]))
            .collect();
        let discharges: Vec<&[u8]> = discharges.iter().map(Vec::as_slice).collect();
        let (parameter, local_names) =
            (octets(&caveat["param_vom"]), names(&context["local_names"]));
        let caveat = Caveat {
            id: octets(&caveat["id"]).try_into().unwrap(),
            parameter: &parameter,
        };
        let result = caveat.check(&CheckContext {
            time: Time::At(timestamp(text(&context["time"]))),
            method: text(&context["method"]),
            method_tags: &texts(&context["method_tags"]),
            local_names: &local_names,
            discharges: &&discharges[..],
            algorithms: &ALL,
        });
        let mut expected = case["accepted"].as_bool().unwrap();
        if STRICTER_CAVEATS.contains(&what) {
            assert!(expected);
            expected = false;
            stricter += 1;
        }
        assert_eq!(result.is_ok(), expected, "{what}: {result:?}");
    }
    assert_eq!(stricter, STRICTER_CAVEATS.len());
}

#[test]
fn recorded_patterns_match_as_upstream_does() {
    for case in list(&live()["patterns"]) {
        let pattern = Pattern(text(&case["pattern"]));
        assert_eq!(pattern.is_valid(), case["pattern_valid"], "{case}");
        assert_eq!(
            pattern.is_matched_by(&names(&case["names"])),
            case["match"],
            "{case}"
        );
    }
}

#[test]
fn recorded_access_lists_admit_as_upstream_does() {
    for case in list(&live()["access_lists"]) {
        let patterns =
            |of: &'static Value| -> Vec<_> { texts(of).into_iter().map(Pattern).collect() };
        let (admit, exclude) = (patterns(&case["in"]), patterns(&case["not_in"]));
        let list = AccessList {
            admit: &admit,
            exclude: &exclude,
        };
        assert_eq!(
            list.admits(&names(&case["names"])),
            case["includes"],
            "{case}"
        );
    }
    for case in list(&live()["default_authorizer"]) {
        let (local, remote) = (names(&case["local_names"]), names(&case["remote_names"]));
        assert_eq!(
            default_authorizes(&local, &remote),
            case["allowed"],
            "{case}"
        );
    }
}
