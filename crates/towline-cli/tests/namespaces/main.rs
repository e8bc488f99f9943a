//! The command on networks that fail for real: links that go, addresses that
//! change, names that are unknown, lines that are slow.
//!
//! Takes root on Linux; skipped elsewhere.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod dns;
mod moving;
mod namespace;
mod world;

use std::time::{Duration, Instant};

use moving::{AT_ONCE, Moving};
use namespace::{CLIENT, between_namespaces};
use towline_testserver::Offline;
use world::{World, until, url};

const MIB: u64 = 1 << 20;

/// Twelve parts or ranges.
const SIZE: u64 = 60 * MIB;
const PIECES: usize = 12;

/// Of all transfers together, in a second.
const BANDWIDTH: u64 = 8 * MIB;

/// A line on which nothing comes is noticed by the watch over its bytes.
const NOTICED: Duration = Duration::from_secs(40);

/// What the system tells of is noticed before the watch over bytes misses any.
const TOLD_GONE: Duration = Duration::from_secs(15);

/// A stall is over 30 s of silence at the most, looked for eight times meanwhile.
const LONGER_THAN_A_STALL: Duration = Duration::from_secs(40);

/// What no network holds up.
const SOON: Duration = Duration::from_secs(60);

/// The system tells of a link, an address or a route.
const TOLD: Duration = Duration::from_secs(5);

/// Nobody tells of a name, or of what happens behind the link.
const ASKED: Duration = Duration::from_secs(32);

/// An upload and a download, with pieces of each confirmed and two more under way.
struct Both<'a> {
    world: &'a World,
    all: [Moving<'a>; 2],
    before: [Vec<String>; 2],
}

impl<'a> Both<'a> {
    fn midway(world: &'a World) -> Self {
        // One after the other: an upload gets several times of what a download gets from
        // the server's throttle, and would be at its end before.
        world.server.faults().bandwidth(BANDWIDTH);
        let down = world.download("state-2", "down", SIZE);
        down.has_confirmed(2);
        let up = world.upload("state-1", "up", SIZE);
        up.has_confirmed(2);
        world.server.faults().bandwidth(BANDWIDTH / 64);
        let all = [up, down];
        let before = all.each_ref().map(Moving::pieces);
        let midway = |pieces: &Vec<String>| pieces.len() < PIECES;
        assert!(before.iter().all(midway), "{before:?}");
        Self { world, all, before }
    }

    /// Each waits for the network before so much time has passed.
    fn wait_for_network(&self, limit: Duration) {
        let start = Instant::now();
        for moving in &self.all {
            moving.comes_to("waiting_for_network", limit.saturating_sub(start.elapsed()));
        }
        eprintln!("noticed after {:?}", start.elapsed());
    }

    /// Each moves bytes again before so much time has passed.
    fn go_on_within(&self, limit: Duration) {
        let seen = self.all.each_ref().map(|it| it.requests().len());
        // What is still sent to nobody takes no room.
        self.world.server.faults().bandwidth(0);
        let took = until("both move bytes again", limit, || {
            let mut all = self.all.iter().zip(seen);
            all.all(|(it, seen)| it.has_moved_since(seen))
        });
        eprintln!("back after {took:?}");
    }

    /// Each arrives whole, and nothing that was confirmed moves again.
    fn complete(&mut self) {
        for (moving, before) in self.all.iter_mut().zip(&self.before) {
            moving.completes();
            let pieces = moving.pieces();
            let mut once = pieces.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), PIECES, "{pieces:?}");
            // Whichever of those begun before were under way: so many at the most.
            let again = pieces.len() - PIECES;
            assert!(
                again <= AT_ONCE,
                "{again}, begun were {before:?}: {pieces:?}"
            );
            // One attempt of each that was under way was lost, and one found nobody.
            let incidents = moving.incidents();
            assert!(incidents.len() <= 2 * AT_ONCE, "{incidents:#?}");
        }
    }
}

#[test]
fn t39_a_link_that_goes_down_is_waited_for_and_costs_only_what_was_under_way() {
    between_namespaces(|world| {
        let mut both = Both::midway(world);
        world.ip("link set eth0 down");
        both.wait_for_network(TOLD_GONE);
        world.ip("link set eth0 up");
        both.go_on_within(TOLD);
        both.complete();
    });
}

#[test]
fn t39_a_route_that_goes_is_waited_for_and_costs_only_what_was_under_way() {
    between_namespaces(|world| {
        let mut both = Both::midway(world);
        let route = format!("unreachable {}", namespace::SERVER);
        world.ip(&format!("route add {route}"));
        both.wait_for_network(TOLD_GONE);
        world.ip(&format!("route del {route}"));
        both.go_on_within(TOLD);
        both.complete();
    });
}

#[test]
fn t39_a_line_that_swallows_everything_is_waited_for_and_costs_only_what_was_under_way() {
    between_namespaces(|world| {
        let mut both = Both::midway(world);
        let start = Instant::now();
        let route = format!("blackhole {CLIENT}");
        world.ip_of_server(&format!("route add {route}"));
        both.wait_for_network(Duration::from_secs(60));
        std::thread::sleep(Duration::from_secs(45).saturating_sub(start.elapsed()));
        world.ip_of_server(&format!("route del {route}"));
        both.go_on_within(ASKED);
        both.complete();
    });
}

#[test]
fn transfers_go_on_when_the_address_of_this_machine_is_another() {
    between_namespaces(|world| {
        let mut both = Both::midway(world);
        world.ip(&format!("addr del {CLIENT}/24 dev eth0"));
        world.ip("addr add 10.77.0.3/24 dev eth0");
        both.go_on_within(NOTICED);
        both.complete();
    });
}

#[test]
fn names_that_are_unknown_are_waited_for() {
    between_namespaces(|world| {
        world.has_a_name();
        world.start_name_server();
        let mut both = Both::midway(world);
        world.stop_name_server();
        // Connections that stand need no name.
        world.server.faults().out_of_reach(Some(Offline::Reset));
        both.wait_for_network(NOTICED);
        world.server.faults().out_of_reach(None);
        world.start_name_server();
        both.go_on_within(ASKED);
        both.complete();
    });
}

#[test]
fn t41_a_line_of_1_mbit_is_slow_and_not_stalled() {
    between_namespaces(|world| {
        world.cap_link("1mbit");
        let start = Instant::now();
        let mut all = [
            world.upload("state-1", "up", 6 * MIB),
            world.download("state-2", "down", 6 * MIB),
        ];
        for moving in &mut all {
            moving.completes();
            let took = start.elapsed();
            assert!(
                took > LONGER_THAN_A_STALL,
                "the line is no slow one: {took:?}"
            );
            assert_eq!(moving.incidents(), [] as [serde_json::Value; 0]);
            assert_eq!(moving.pieces().len(), 2, "{:?}", moving.pieces());
            let idle = |state: &String| state.starts_with("waiting_");
            assert!(!moving.states().iter().any(idle), "{:?}", moving.states());
        }
    });
}

#[test]
fn t39_paused_canceled_and_failed_transfers_stay_so_while_the_network_goes_and_comes() {
    between_namespaces(|world| {
        world.server.faults().bandwidth(BANDWIDTH / 64);
        let mut moving = world.upload("state", "moving", SIZE);
        moving.has_confirmed(0);
        let mut paused = world.upload("state", "paused", SIZE);
        let canceled = world.upload("state", "canceled", SIZE);
        let failed = Moving::begin(world, "state", &["download", &url("missing"), "missing"]);
        paused.comes_to("in_progress", SOON);
        canceled.comes_to("in_progress", SOON);
        world.done("state", &["pause", &url("paused")]);
        world.done("state", &["cancel", &url("canceled")]);
        paused.comes_to("paused", SOON);
        canceled.comes_to("canceled", SOON);
        failed.comes_to("failed", SOON);
        let at_rest = [&paused, &canceled, &failed];
        let before = at_rest.map(Moving::states);

        world.ip("link set eth0 down");
        moving.comes_to("waiting_for_network", TOLD_GONE);
        world.ip("link set eth0 up");
        world.server.faults().bandwidth(0);
        moving.completes();

        assert_eq!(at_rest.map(Moving::states), before);
        world.done("state", &["resume", &url("paused")]);
        paused.completes();
    });
}
