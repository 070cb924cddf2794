//! The server in fixed memory, for firmware.

use crate::parties::{Client, Head, PASSWORD, USER, connection, random, realm, stored, validation};
use chanbind_core::{
    mutual::{
        MAX_MESSAGE_LEN, MutualError, MutualFailure, MutualServer, ServerAnswer, ServerLimits,
    },
    proof::Outcome,
};

const PROVED: Result<Outcome, MutualFailure> = Ok(Outcome::Proved);

struct Server {
    inner: MutualServer<2>,
    now: u64,
    made: u64,
}

impl Server {
    fn new() -> Self {
        let limits = ServerLimits::default();
        let inner = MutualServer::new(realm(), validation(&connection(1)), limits, &random(1));
        Self {
            inner: inner.unwrap(),
            now: 1_000,
            made: 10,
        }
    }

    fn answer(&mut self, authorization: Option<&str>) -> Head {
        self.made += 1;
        let find = |user: &str| (user == USER).then(|| stored().clone());
        let mut out = [0; MAX_MESSAGE_LEN];
        let random = random(self.made);
        let answer = self
            .inner
            .answer(authorization, find, self.now, &random, &mut out);
        match answer.unwrap() {
            ServerAnswer::Challenge(text) | ServerAnswer::Refused(text) => Head::challenge(text),
            ServerAnswer::Proved { user, info } => {
                assert_eq!(user, USER);
                Head::new(200).with("authentication-info", info)
            }
        }
    }
}

fn client(user: &str, password: &str) -> Client {
    let mut client = Client::new(user, password);
    client.connect(&connection(1));
    client
}

#[test]
fn users_are_admitted_and_others_are_not() {
    let mut server = Server::new();
    let mut honest = client(USER, PASSWORD);
    for expected in [3, 1, 1] {
        assert_eq!(
            honest.send(|request| server.answer(request)),
            (PROVED, expected)
        );
    }
    for (user, password) in [(USER, "another"), ("jane", PASSWORD)] {
        let ended = client(user, password).send(|request| server.answer(request));
        assert_eq!(ended, (Ok(Outcome::Refused), 3));
    }
    assert_eq!(honest.send(|request| server.answer(request)).0, PROVED);
    for garbage in [
        "",
        "Mutual",
        "Basic x",
        "Mutual version=1",
        "Mutual realm=\"a realm\", \"",
    ] {
        let answer = server.answer(Some(garbage));
        assert_eq!(answer.status, 401, "{garbage}");
    }
    assert_eq!(honest.send(|request| server.answer(request)), (PROVED, 1));
}

#[test]
fn sessions_are_bounded_in_number_and_age() {
    let mut server = Server::new();
    let mut clients = [(); 3].map(|()| client(USER, PASSWORD));
    for client in &mut clients {
        assert_eq!(client.send(|request| server.answer(request)), (PROVED, 3));
        server.now += 1;
    }
    // One place is for key exchanges: the sessions had to go for the last one.
    let [first, second, third] = &mut clients;
    for (client, expected) in [(third, 1), (second, 3), (first, 3)] {
        server.now += 1;
        assert_eq!(
            client.send(|request| server.answer(request)),
            (PROVED, expected)
        );
    }
    // The last one is there for as long as it is used.
    for _ in 0..3 {
        server.now += 299;
        assert_eq!(first.send(|request| server.answer(request)), (PROVED, 1));
    }
    server.now += 300;
    assert_eq!(first.send(|request| server.answer(request)), (PROVED, 3));
    // A key exchange that is left pending.
    let mut slow = client(USER, PASSWORD);
    for _ in 0..2 {
        let request = slow.request("GET").unwrap();
        assert_eq!(slow.response(&server.answer(request.as_deref())), None);
    }
    server.now += 300;
    let request = slow.request("GET").unwrap();
    let ended = slow.response(&server.answer(request.as_deref()));
    assert_eq!(ended, Some(Err(MutualFailure::StaleAtOnce)));
}

/// Others begin key exchanges, and a user who has logged in does not notice.
#[test]
fn key_exchanges_of_others_end_no_session() {
    let mut server = Server::new();
    let mut honest = client(USER, PASSWORD);
    assert_eq!(honest.send(|request| server.answer(request)), (PROVED, 3));
    for _ in 0..3 {
        let mut other = client("jane", "x");
        for _ in 0..2 {
            let request = other.request("GET").unwrap();
            assert_eq!(other.response(&server.answer(request.as_deref())), None);
        }
    }
    assert_eq!(honest.send(|request| server.answer(request)), (PROVED, 1));
}

/// After some wrong passwords, each further one costs twice the time.
#[test]
fn guesses_have_to_wait() {
    let mut server = Server::new();
    let guess = |server: &mut Server, number: u32| {
        let ended = client(USER, &number.to_string()).send(|request| server.answer(request));
        assert_eq!(ended.0, Ok(Outcome::Refused));
        ended.1
    };
    for number in 0..5 {
        assert_eq!(guess(&mut server, number), 3, "{number}");
    }
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        // The key exchange is not answered until then.
        assert_eq!(guess(&mut server, 0), 2, "{delay}");
        server.now += delay - 1;
        assert_eq!(guess(&mut server, 0), 2, "{delay}");
        server.now += 1;
        assert_eq!(guess(&mut server, 0), 3, "{delay}");
    }
    server.now += 60;
    let mut honest = client(USER, PASSWORD);
    assert_eq!(honest.send(|request| server.answer(request)), (PROVED, 3));
    for number in 0..5 {
        assert_eq!(guess(&mut server, number), 3, "{number}");
    }
}

#[test]
fn a_buffer_that_is_too_small_is_an_error() {
    let mut server = Server::new();
    let mut out = [0; 40];
    let answer = server.inner.answer(None, |_| None, 0, &random(1), &mut out);
    assert_eq!(answer.err(), Some(MutualError::BufferTooSmall));
}
