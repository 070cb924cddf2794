//! The pages. They have no scripts, and whatever peers have written is escaped.

use super::monitor::{MINUTES, Monitor, State, now};
use chanbind::gateway::Device;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::cmp::Reverse;
use x509_parser::time::ASN1Time;

/// The rows of a table.
pub(super) const MAX_ROWS: usize = 200;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d8dee4;vertical-align:top}\
td.n,th.n{text-align:right}svg{width:100%;height:auto}.a{fill:#2da44e}.r{fill:#cf222e}.x{stroke:#8c959f}text{font-size:11px;fill:#57606a}";

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="10";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    }
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(String::new, |time| time.to_string())
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns the address of a device's page.
fn link(name: &str) -> String {
    with_name("/device?name=", name)
}

fn with_name(start: &str, name: &str) -> String {
    let mut link = start.to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            link.push(char::from(byte));
        } else {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link
}

/// The page with everything.
///
/// `kinds` are the kinds of proof whose devices are in a registry that can be listed.
pub(super) fn overview(monitor: &Monitor, readiness: &str, kinds: &[&str]) -> Markup {
    let state = monitor.state();
    let now = now();
    let mut devices: Vec<_> = state.devices.iter().collect();
    devices.sort_by_key(|(name, device)| (Reverse(device.last_seen()), *name));
    let mut live: Vec<_> = state.live.iter().collect();
    live.sort_by_key(|(number, _)| Reverse(**number));
    let content = html! {
        h1 { "chanbind gateway" }
        p { "State: " b id="state" { (readiness.trim()) } ". Connections: " b id="connections" { (live.len()) }
            ". Devices seen: " b id="devices" { (devices.len()) } ". Time: " (time(now)) "." }
        h2 { "The last 24 hours" }
        (plot(&state, now))
        h2 { "Devices" }
        @for kind in kinds {
            p { a href=(format!("/fleet?kind={kind}")) { "All devices of the registry (" (kind) ")" } ". Seen by this gateway:" }
        }
        table id="fleet" {
            tr { th { "Device" } th { "Last seen" } th.n { "Admitted" } th.n { "Refused" } }
            @for (name, device) in devices.iter().take(MAX_ROWS) {
                tr {
                    td { a href=(link(name)) { (name) } }
                    td { (duration(now.saturating_sub(device.last_seen()))) " ago" }
                    td.n { (device.admitted()) }
                    td.n { (device.refused()) }
                }
            }
        }
        (rest(devices.len()))
        h2 { "Connections" }
        table id="live" {
            tr { th { "Client" } th { "Proved" } th { "Open for" } th.n { "Requests" } }
            @for (_, live) in live.iter().take(MAX_ROWS) {
                tr {
                    td { (live.peer) }
                    td {
                        @for (name, kind) in live.identities() { a href=(link(&name)) { (name) } " (" (kind) ") " }
                    }
                    td { (duration(now.saturating_sub(live.since))) }
                    td.n { (live.requests()) }
                }
            }
        }
        (rest(live.len()))
    };
    page("chanbind gateway", &content)
}

fn rest(len: usize) -> Markup {
    html! {
        @if len > MAX_ROWS { p { "and " (len - MAX_ROWS) " more" } }
    }
}

/// The bars of the plot, each of ten minutes.
const BARS: u64 = MINUTES / 10;

/// Plots requests that were admitted above the line, and refused ones below it.
fn plot(state: &State, now: u64) -> Markup {
    const HEIGHT: u64 = 60;
    let first = (now / 60).saturating_sub(MINUTES - 1);
    let mut bars = vec![(0_u64, 0_u64); usize::try_from(BARS).unwrap_or(0)];
    for (minute, counts) in state.minutes.range(first..) {
        let bar = usize::try_from(minute.saturating_sub(first) / 10).ok();
        if let Some(bar) = bar.and_then(|bar| bars.get_mut(bar)) {
            bar.0 += counts.admitted;
            bar.1 += counts.refused;
        }
    }
    let top = |counts: &mut dyn Iterator<Item = u64>| counts.max().unwrap_or(0).max(1);
    let admitted = top(&mut bars.iter().map(|bar| bar.0));
    let refused = top(&mut bars.iter().map(|bar| bar.1));
    let height = |count: u64, of: u64| {
        let scaled = count.saturating_mul(HEIGHT) / of;
        scaled.max(u64::from(count > 0) * 2)
    };
    html! {
        svg id="plot" viewBox="0 0 720 150" role="img" aria-label="Requests admitted and refused in the last 24 hours" {
            line.x x1="0" x2="720" y1="75" y2="75" {}
            text x="0" y="10" { "admitted, at most " (admitted) " in ten minutes" }
            text x="0" y="147" { "refused, at most " (refused) " in ten minutes" }
            @for (at, (up, down)) in bars.iter().enumerate() {
                @if *up > 0 {
                    rect.a x=(at * 5) width="4" y=(75 - height(*up, admitted)) height=(height(*up, admitted)) {}
                }
                @if *down > 0 {
                    rect.r x=(at * 5) width="4" y="76" height=(height(*down, refused)) {}
                }
            }
        }
    }
}

/// The page of one device; `None` if it has not been seen.
pub(super) fn device(monitor: &Monitor, name: &str) -> Option<Markup> {
    let state = monitor.state();
    let device = state.devices.get(name)?;
    let now = now();
    let open = state.live.values();
    let open = open.filter(|live| live.has_proved(name));
    let content = html! {
        p { a href="/" { "chanbind gateway" } }
        h1 { (name) }
        p { "Last seen " (duration(now.saturating_sub(device.last_seen()))) " ago. Requests admitted: " b { (device.admitted()) }
            ", refused: " b { (device.refused()) } ". Open connections: " b { (open.count()) } "." }
        h2 { "History" }
        table id="history" {
            @for (at, what) in device.events() { tr { td { (time(at)) } td { (what) } } }
        }
        p { "Names in refused proofs are claims: they have not been proved." }
    };
    Some(page(name, &content))
}

/// The page of a device that this gateway has not seen.
pub(super) fn unseen(name: &str) -> Markup {
    let content = html! {
        p { a href="/" { "chanbind gateway" } }
        h1 { (name) }
        p { "This gateway has not seen it since it started." }
    };
    page(name, &content)
}

/// A page of the devices in a registry.
pub(super) fn fleet(kind: &str, devices: &[Device]) -> Markup {
    let now = now();
    let next = devices.last().filter(|_| devices.len() >= MAX_ROWS);
    let content = html! {
        p { a href="/" { "chanbind gateway" } }
        h1 { "Registry (" (kind) ")" }
        table id="registry" {
            tr { th { "Device" } th { "State" } th { "Groups" } th { "Last seen" } th { "Added" } }
            @for device in devices {
                tr {
                    td { a href=(link(&device.id)) { (device.id) } }
                    td { (state(device)) }
                    td { (device.groups.join(", ")) }
                    td {
                        @match device.last_seen {
                            Some(seen) => { (duration(now.saturating_sub(seen))) " ago" }
                            None => "never"
                        }
                    }
                    td { (time(device.created)) }
                }
            }
        }
        @if let Some(last) = next {
            p { a id="next" href=(with_name(&format!("/fleet?kind={kind}&after="), &last.id)) { "Next" } }
        }
        p { "Last seen at any gateway, to about ten seconds." }
    };
    page("chanbind registry", &content)
}

fn state(device: &Device) -> &'static str {
    match (device.enabled, device.is_rotating) {
        (false, _) => "disabled",
        (true, true) => "enabled, changing its key",
        (true, false) => "enabled",
    }
}
