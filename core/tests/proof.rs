//! Provers, driven as a client drives them.
#![cfg(test)]

use chanbind_core::{
    exporter::{Exporter, ExporterError, ExporterSecret, Protocol},
    kdf::{HmacSha256, HmacSha384, Layout, Prf, PrfInput, derive},
    otp::{
        ApiKeyProver, ClientId, FieldNames, KeyDerivation, OneTimeKey, Policy, Profile, ProveError,
        Purpose, TokenForm, TokenProver, Uniqueness, api_key, api_key_fields_len, jws, nested,
        scratch_len,
    },
    proof::{
        FieldSink, Fields, Inputs, KeyRequest, MAX_FIELDS, Outcome, Prover, RANDOM_LEN,
        RequestTarget, ResponseHead, Step,
    },
};

const NOW: u64 = 1_700_000_000;
const TARGET: RequestTarget<'_> = RequestTarget {
    method: "POST",
    authority: "gateway.example:8443",
    path: "/readings?kind=1",
};

/// A channel that exports zeroes: what the recorded HMAC of the Go demo is over.
struct Zeroes;

impl Exporter for Zeroes {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn export_keying_material(
        &self,
        _: &[u8],
        _: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        out.fill(0);
        Ok(())
    }
}

struct Status(u16);

impl ResponseHead for Status {
    fn status(&self) -> u16 {
        self.0
    }

    fn field(&self, _: &str, _: usize) -> Option<&[u8]> {
        None
    }
}

fn inputs() -> Inputs<'static> {
    Inputs {
        unix_time: Some(NOW),
        random: &[7; RANDOM_LEN],
    }
}

fn client() -> ClientId<'static> {
    ClientId::new("client1").unwrap()
}

/// Begins on `channel`, and answers with an HMAC in software until the prover is ready to send.
fn begin<P: Prover>(
    prover: &mut P,
    channel: &dyn Exporter,
    secret: &[u8],
) -> Result<usize, String> {
    let mut requests = 0usize;
    let mut mac = [0; 32];
    let mut step = prover.begin(channel, &inputs());
    loop {
        match step {
            Step::Key(KeyRequest::Hmac(input)) => {
                requests = requests.saturating_add(1);
                HmacSha256::new(secret).compute(&input, &mut mac).unwrap();
            }
            Step::Send => return Ok(requests),
            Step::Failed(failure) => return Err(failure.to_string()),
            other => panic!("{other:?}"),
        }
        step = prover.answered(&mac);
    }
}

fn fields<P: Prover<Failure = ProveError>>(
    prover: &mut P,
    len: usize,
) -> Result<Vec<(String, String)>, ProveError> {
    let mut buffer = vec![0; len];
    let mut fields = Fields::new(&mut buffer);
    prover.write_fields(&TARGET, &inputs(), &mut fields)?;
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(fields.iter().map(owned).collect())
}

/// The key is TPM2_HMAC of the demo's key over 32 zero bytes, recorded in `host-tests/vectors/go-demo-tokens.json`.
#[test]
fn an_api_key_prover_sends_the_recorded_key() {
    let mut prover =
        ApiKeyProver::new(Profile::GO_DEMO_JWT, client().into(), FieldNames::default());
    assert_eq!(begin(&mut prover, &Zeroes, b"my_api_key"), Ok(1));
    let len = api_key_fields_len(client().as_str().len());
    assert_eq!(
        fields(&mut prover, len).unwrap(),
        [
            ("chanbind-client".to_owned(), "client1".to_owned()),
            (
                "chanbind-key".to_owned(),
                "asx14SXozjSPAg5vnT1oL4u+14qk+ZAP4DF6lLb7yrw=".to_owned()
            ),
        ]
    );
    assert_eq!(
        fields(&mut prover, len - 1),
        Err(ProveError::BufferTooSmall)
    );
    for (status, outcome) in [
        (200, Outcome::Proved),
        (404, Outcome::Proved),
        (401, Outcome::Refused),
        (403, Outcome::Refused),
    ] {
        let step = prover.response(&Status(status), &inputs());
        assert!(
            matches!(step, Step::Done(done) if done == outcome),
            "{step:?}"
        );
    }
}

#[test]
fn a_token_prover_makes_a_new_token_for_each_request() {
    let channel = ExporterSecret::sha256(&[7; 32]);
    let key = |purpose| {
        let mut hmac = HmacSha256::new(b"secret");
        OneTimeKey::derive(&Profile::default(), purpose, client(), &channel, &mut hmac).unwrap()
    };
    let policy = Policy {
        now: Some(NOW),
        require_expiry: true,
        method: Some("POST"),
        uri: Some("https://gateway.example:8443/readings"),
        token_id: Uniqueness::Required,
        ..Policy::default()
    };
    for (form, requests) in [(TokenForm::Jws, 1), (TokenForm::Nested, 2)] {
        let mut prover = TokenProver::new(
            Profile::default(),
            client().into(),
            FieldNames::default(),
            form,
        );
        assert_eq!(begin(&mut prover, &channel, b"secret"), Ok(requests));
        let all = fields(&mut prover, 16_384).unwrap();
        let [(name, value), (_, sent_as)] = &all[..] else {
            panic!("{all:?}")
        };
        assert_eq!(
            (name.as_str(), sent_as.as_str()),
            ("authorization", "client1")
        );
        let token = value.strip_prefix("Bearer ").unwrap();
        let mut scratch = vec![0; scratch_len(token.len())];
        let (signing, encryption) = (&key(Purpose::Signing), &key(Purpose::Encryption));
        let verified = match form {
            TokenForm::Jws => jws::verify(signing, token, &policy, &mut scratch),
            _ => {
                let keys = nested::NestedKeys {
                    signing,
                    encryption,
                };
                nested::open(&keys, token, &policy, &mut scratch)
            }
        };
        let claims = verified.unwrap().claims;
        assert_eq!(claims.subject, Some("client1"));
        assert_eq!(claims.expires_at, Some(NOW + 60));
        assert_eq!(claims.token_id, Some("BwcHBwcHBwcHBwcHBwcHBw"));
        assert_eq!(fields(&mut prover, 1024), Err(ProveError::BufferTooSmall));

        // Other random bytes, another token.
        let mut buffer = vec![0; 16_384];
        let mut other = Fields::new(&mut buffer);
        let random = Inputs {
            random: &[8; RANDOM_LEN],
            ..inputs()
        };
        prover.write_fields(&TARGET, &random, &mut other).unwrap();
        assert_ne!(other.iter().next().unwrap().1, value);
        let no_time = Inputs {
            unix_time: None,
            ..inputs()
        };
        let mut buffer = vec![0; 16_384];
        let mut none = Fields::new(&mut buffer);
        let written = prover.write_fields(&TARGET, &no_time, &mut none);
        assert_eq!(written, Err(ProveError::NoTime));
        assert!(none.is_empty());
        let mut lasting = TokenProver::new(
            Profile::default(),
            client().into(),
            FieldNames::default(),
            form,
        )
        .for_any_request()
        .without_expiry();
        begin(&mut lasting, &channel, b"secret").unwrap();
        lasting.write_fields(&TARGET, &no_time, &mut none).unwrap();
        assert_eq!(none.len(), 2);
    }
}

#[test]
fn a_prover_fails_when_it_is_called_out_of_order() {
    let mut prover = ApiKeyProver::new(Profile::default(), client().into(), FieldNames::default());
    assert!(matches!(
        prover.answered(&[0; 32]),
        Step::Failed(ProveError::Order)
    ));
    assert_eq!(fields(&mut prover, 512), Err(ProveError::Order));
    let step = prover.begin(&Zeroes, &inputs());
    assert!(matches!(step, Step::Key(_)));
    assert_eq!(fields(&mut prover, 512), Err(ProveError::Order));
    // An empty answer, and one that is longer than any PRF's.
    for len in [0, 65] {
        let _ = prover.begin(&Zeroes, &inputs());
        let step = prover.answered(&vec![0; len]);
        assert!(matches!(step, Step::Failed(ProveError::Kdf(_))), "{len}");
        assert!(matches!(
            prover.answered(&[0; 32]),
            Step::Failed(ProveError::Order)
        ));
    }
    // A new connection starts over, with keys of its own.
    begin(&mut prover, &ExporterSecret::sha256(&[1; 32]), b"secret").unwrap();
    let first = fields(&mut prover, 512).unwrap();
    begin(&mut prover, &ExporterSecret::sha256(&[2; 32]), b"secret").unwrap();
    assert_ne!(fields(&mut prover, 512).unwrap(), first);
}

/// A PRF whose answers are cut to a length.
struct Cut(HmacSha384, usize);

impl Prf for Cut {
    type Error = core::convert::Infallible;

    fn output_len(&self) -> usize {
        self.1
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error> {
        let mut mac = [0; 48];
        self.0.compute(input, &mut mac)?;
        out.copy_from_slice(&mac[..self.1]);
        Ok(())
    }
}

#[test]
fn a_derivation_takes_answers_of_every_length_as_derive_does() {
    let profile = Profile::default();
    for len in [1, 16, 20, 31, 32, 48] {
        let mut derivation =
            KeyDerivation::new(&profile, Purpose::ApiKey, client(), &Zeroes).unwrap();
        let mut prf = Cut(HmacSha384::new(b"key"), len);
        let key = loop {
            let mut mac = vec![0; len];
            match derivation.request() {
                KeyRequest::Hmac(input) => prf.compute(&input, &mut mac).unwrap(),
                other => panic!("{other:?}"),
            }
            if let Some(key) = derivation.answered(&mac).unwrap() {
                break key;
            }
        };
        let mut expected = [0; 32];
        derive(&profile.layout, &[0; 32], &mut prf, &mut expected).unwrap();
        assert_eq!(*key.as_bytes(), expected, "{len}");
    }
    // One block is all that the plain layout has.
    let plain = Profile {
        layout: Layout::Hmac,
        ..profile
    };
    let mut derivation = KeyDerivation::new(&plain, Purpose::ApiKey, client(), &Zeroes).unwrap();
    assert!(derivation.answered(&[0; 31]).is_err());
    let mut derivation = KeyDerivation::new(&profile, Purpose::ApiKey, client(), &Zeroes).unwrap();
    assert!(derivation.answered(&[0; 16]).unwrap().is_none());
    assert!(derivation.answered(&[0; 32]).is_err());
}

#[test]
fn fields_hold_names_and_values_and_nothing_else() {
    let mut buffer = [0xaa; 32];
    {
        let mut fields = Fields::new(&mut buffer);
        fields.put("a", "one").unwrap();
        fields.put("bb", "").unwrap();
        assert!(fields.put("c", "line\r\nbreak").is_err());
        assert!(fields.put("c", &"x".repeat(32)).is_err());
        assert!(fields.put_with("c", 4, &mut |_| None).is_err());
        assert!(fields.put_with("c", 4, &mut |_| Some(5)).is_err());
        fields.put("d", "two").unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("a", "one"), ("bb", ""), ("d", "two")]);
    }
    assert_eq!(buffer[..10], [0; 10], "what was used is wiped");
    let mut buffer = [0; 64];
    let mut fields = Fields::new(&mut buffer);
    for _ in 0..MAX_FIELDS {
        fields.put("a", "b").unwrap();
    }
    assert!(fields.put("a", "b").is_err());
}

/// The password of an API key is what its module encodes.
#[test]
fn an_api_key_prover_agrees_with_the_verifier() {
    let channel = ExporterSecret::sha384(&[9; 48]);
    let mut prover = ApiKeyProver::new(Profile::default(), client().into(), FieldNames::default());
    begin(&mut prover, &channel, b"secret").unwrap();
    let sent = fields(&mut prover, 512).unwrap().remove(1).1;
    let mut hmac = HmacSha256::new(b"secret");
    let expected = OneTimeKey::derive(
        &Profile::default(),
        Purpose::ApiKey,
        client(),
        &channel,
        &mut hmac,
    );
    api_key::verify(&expected.unwrap(), &sent).unwrap();
}
