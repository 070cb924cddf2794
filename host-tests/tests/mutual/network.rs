//! Both state machines over a network that loses, repeats and reorders messages, and sends them to other connections.

use crate::parties::{Client, Head, Server, USER, connection};
use chanbind_core::{mutual::Reason, proof::Outcome};
use std::collections::HashSet;

/// A request that was sent.
struct Sent {
    client: usize,
    text: Option<String>,
    channel: u8,
}

/// An answer of the server, and the request that it is for.
struct Answered {
    head: Head,
    request: usize,
}

struct Network {
    server: Server,
    clients: [Client; 2],
    channels: [u8; 2],
    /// The request whose answer a client waits for.
    waits_for: [Option<usize>; 2],
    requests: Vec<Sent>,
    answers: Vec<Answered>,
    served: HashSet<String>,
    proved: usize,
}

/// The most key exchanges of one schedule: each takes a millisecond.
const MAX_EXCHANGES: usize = 12;

/// Runs a schedule: each event takes two bytes. Returns how many answers the clients have taken for proved.
///
/// # Panics
/// Panics if a client takes another answer than its own for proved, or if the server serves a request twice, on another connection than its
/// own, or of the client with the wrong password.
pub(crate) fn run(schedule: &[u8]) -> usize {
    let mut network = Network {
        server: Server::new(),
        clients: [Client::honest(), Client::new(USER, "another")],
        channels: [1, 2],
        waits_for: [None, None],
        requests: Vec::new(),
        answers: Vec::new(),
        served: HashSet::new(),
        proved: 0,
    };
    for at in 0..2 {
        network.connect(at, network.channels[at]);
    }
    let mut events = schedule.chunks_exact(2);
    while let Some(&[event, selection]) = events.next() {
        if network.server.sessions.len() >= MAX_EXCHANGES {
            break;
        }
        network.event(event, usize::from(selection));
    }
    network.proved
}

impl Network {
    fn connect(&mut self, at: usize, channel: u8) {
        self.channels[at] = channel;
        self.clients[at].connect(&connection(channel));
        self.waits_for[at] = None;
    }

    fn event(&mut self, event: u8, selection: usize) {
        // The honest client does more.
        let client = usize::from(selection.is_multiple_of(4));
        match event % 16 {
            // As without attackers.
            0..=7 => {
                self.send(client);
                self.serve(self.waits_for[client], None);
                self.deliver(client, self.answers.len().checked_sub(1));
            }
            8..=9 => self.send(client),
            10 => self.serve(self.requests.len().checked_sub(1), None),
            11 => self.deliver(client, self.answers.len().checked_sub(1)),
            12 => self.serve(selection.checked_rem(self.requests.len()), None),
            13 => {
                let channel = [1, 2, 3][selection % 3];
                self.serve(selection.checked_rem(self.requests.len()), Some(channel));
            }
            14 => self.deliver(client, selection.checked_rem(self.answers.len())),
            _ => match selection % 5 {
                0 => self.connect(client, 3),
                1 => self.connect(client, self.channels[client]),
                2 => self.server.sessions.clear(),
                3 => self.forge(client, 200),
                _ => self.forge(client, 401),
            },
        }
    }

    fn send(&mut self, client: usize) {
        if self.waits_for[client].is_some() {
            return;
        }
        let text = self.clients[client].request("GET").unwrap();
        self.waits_for[client] = Some(self.requests.len());
        self.requests.push(Sent {
            client,
            text,
            channel: self.channels[client],
        });
    }

    fn serve(&mut self, request: Option<usize>, channel: Option<u8>) {
        let Some(request) = request else { return };
        let sent = &self.requests[request];
        let arrived = channel.unwrap_or(sent.channel);
        let head = self
            .server
            .answer(sent.text.as_deref(), &connection(arrived));
        if head.status == 200 {
            assert_eq!(arrived, sent.channel, "served on another connection");
            assert_eq!(sent.client, 0, "served with the wrong password");
            let text = sent.text.clone().unwrap();
            assert!(self.served.insert(text), "served twice");
        }
        self.answers.push(Answered { head, request });
    }

    fn deliver(&mut self, client: usize, answer: Option<usize>) {
        let (Some(answer), Some(own)) = (answer, self.waits_for[client]) else {
            return;
        };
        let Answered { head, request } = &self.answers[answer];
        let ended = self.clients[client].response(head);
        if ended == Some(Ok(Outcome::Proved)) {
            assert_eq!((*request, head.status), (own, 200), "another's answer");
            assert_eq!(client, 0);
            self.proved += 1;
        }
        self.waits_for[client] = None;
    }

    /// An answer that was made by an attacker.
    fn forge(&mut self, client: usize, status: u16) {
        if self.waits_for[client].is_none() {
            return;
        }
        let head = match status {
            200 => Head::new(200).with(
                "authentication-info",
                format!("version=1, sid=00, vks={}", "00".repeat(32)),
            ),
            _ => self.server.init(Reason::StaleSession),
        };
        let ended = self.clients[client].response(&head);
        assert_ne!(ended, Some(Ok(Outcome::Proved)), "a forged answer");
        self.waits_for[client] = None;
    }
}

#[cfg(test)]
#[test]
fn no_schedule_confuses_the_parties() {
    let (mut proved, mut state) = (0, 1_u64);
    for _ in 0..60 {
        let schedule: Vec<u8> = (0..240)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .collect();
        proved += run(&schedule);
    }
    assert!(proved > 400, "{proved}");
    // Without an attacker: three exchanges, and then one for each request.
    assert_eq!(run(&[0, 1].repeat(10)), 8);
}
