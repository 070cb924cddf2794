//! Conformance of kinds of proof: one list of attacks, which every kind must withstand over real TLS connections to a real gateway.
//!
//! A new kind adds a fixture ([`kind::Kind`]) and one line to each of the two lists in this file.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod attacks;
mod authenticator;
mod beside;
mod blessing;
mod gateway;
mod hold;
mod kind;
mod mutual;
mod otp;
mod random;
mod toy;

/// Runs an expression for the fixture of every kind, under the name that it gives.
macro_rules! with_every_kind {
    ($kind:ident => $body:expr) => {
        with_every_kind!(@ $kind, $body;
            crate::otp::ApiKey, crate::otp::Jws, crate::otp::Nested,
            crate::authenticator::Authenticator, crate::blessing::Blessing, crate::mutual::Mutual, crate::toy::Toy);
    };
    (@ $kind:ident, $body:expr; $($fixture:ty),*) => {
        $({ type $kind = $fixture; $body })*
    };
}
use with_every_kind;

/// Makes a module with one test for each attack on a kind.
macro_rules! suite {
    ($module:ident, $kind:ty; $($more:tt)*) => {
        mod $module {
            suite!(@ $kind:
                control::admits_an_honest_client,
                control::tells_two_honest_clients_apart,
                relayed::refuses_accepted_fields_on_another_connection,
                relayed::refuses_an_unused_proof_on_another_connection,
                replayed::handles_a_copy_as_the_kind_defines,
                replayed::handles_a_proof_after_a_damaged_copy,
                reflected::refuses_what_the_gateway_sent,
                indistinguishable::gives_one_answer_to_unknown_clients_and_wrong_keys,
                indistinguishable::gives_one_challenge_to_known_and_unknown_clients,
                racing::never_confuses_racing_requests,
                racing::never_confuses_requests_that_wait_together,
                racing::asks_racing_requests_for_proofs,
                no_channel::answers_500_without_a_channel,
                garbage::refuses_garbage_in_every_field,
                garbage::refuses_fields_that_occur_twice,
                garbage::refuses_incomplete_proofs,
                cancelled::survives_a_client_that_gives_up_a_slow_key,
                cancelled::forgets_a_request_that_is_given_up,
                foreign::refuses_proofs_of_other_kinds,
                $($more)*
            );
        }
    };
    (@ $kind:ty: $($file:ident :: $attack:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $attack() {
                crate::attacks::$file::$attack::<$kind>().await;
            }
        )*
    };
}

suite!(otp_api_key, crate::otp::ApiKey; bits::refuses_a_proof_with_any_bit_flipped);
suite!(otp_jws, crate::otp::Jws; bits::refuses_a_proof_with_any_bit_flipped);
suite!(otp_nested, crate::otp::Nested; bits::refuses_a_proof_with_any_bit_flipped);
suite!(authenticator_alone, crate::authenticator::Authenticator; bits::refuses_a_proof_with_any_bit_flipped);
suite!(blessing_alone, crate::blessing::Blessing; bits::refuses_a_proof_with_any_bit_flipped);
suite!(mutual_alone, crate::mutual::Mutual; bits::refuses_a_proof_with_any_bit_flipped);
suite!(toy_alone, crate::toy::Toy; bits::refuses_a_proof_with_any_bit_flipped);
suite!(otp_jws_beside_others, crate::beside::Beside<crate::otp::Jws>; bits::refuses_a_proof_with_any_bit_flipped);
// Without the bits: another ten thousand signatures would show nothing that the others do not.
suite!(authenticator_beside_others, crate::beside::Beside<crate::authenticator::Authenticator>;);
suite!(blessing_beside_others, crate::beside::Beside<crate::blessing::Blessing>;);
suite!(mutual_beside_others, crate::beside::Beside<crate::mutual::Mutual>;);
suite!(toy_beside_others, crate::beside::Beside<crate::toy::Toy>; bits::refuses_a_proof_with_any_bit_flipped);
