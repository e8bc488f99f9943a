//! The control socket: HTTP and JSON on a Unix socket, served by whoever owns a
//! state, so that a second terminal reaches the process that runs the transfer.
//!
//! [`Server`] serves a [`TransferUtility`](towline::TransferUtility) in its
//! state directory; [`Client`] talks to it. Both sides make sure that the other
//! one is of the same user, because credentials go over it. The routes:
//!
//! | route | what it does |
//! |---|---|
//! | `GET /v1/about` | [`About`]: who owns the state |
//! | `GET /v1/counts` | [`Counted`]: transfers by state |
//! | `POST /v1/leave`, `POST /v1/stay` | a daemon leaves, or stays when it is done → [`About`] |
//! | `POST /v1/transfers` | [`Submit`] → [`Submitted`] |
//! | `GET /v1/transfers` | [`Find`] → [`Found`], a page |
//! | `GET /v1/transfers/{id}` | [`Shown`]: one transfer and its incidents |
//! | `POST /v1/transfers/{id}/{verb}` | `pause`, `resume`, `retry`, `cancel`, `carry` → [`SteeredOne`] |
//! | `DELETE /v1/transfers/{id}` | removes it → [`SteeredOne`] |
//! | `POST /v1/transfers/{verb}` | [`Steer`]: the same, and `remove`, for many → [`Steered`] |
//! | `POST /v1/groups` | [`BeginGroup`] → [`GroupBegun`] |
//! | `GET /v1/groups` | [`FindGroups`] → [`GroupsFound`], a page |
//! | `GET /v1/groups/{id}` | [`towline::Group`]: one group |
//! | `GET /v1/groups/{id}/left-out` | [`FindLeftOut`] → [`LeftOutFound`], a page |
//! | `POST /v1/groups/{id}/{verb}` | `pause`, `resume`, `cancel`, `remove`, `carry`: [`SteerGroup`] → [`GroupSteered`] |
//! | `GET /v1/limits`, `PATCH /v1/limits` | [`SetLimits`] → [`Limits`] |
//! | `GET /v1/events` | [`Follow`] → server-sent [`Event`]s |
//!
//! What goes wrong is answered as a [`Problem`] (RFC 9457).

#![cfg(unix)]

mod api;
mod breath;
mod client;
mod document;
mod door;
mod feed;
mod files;
mod groups;
mod guard;
mod hub;
mod limits;
mod login;
mod outside;
mod page;
mod patience;
mod peer;
mod place;
mod problem;
mod prometheus;
mod roots;
mod routes;
mod schema;
mod secret;
mod selected;
mod serve;
mod server;
mod spool;
mod sse;
mod throughput;

pub use api::{
    About, Alive, Counted, Event, Find, Follow, Found, IncidentSeen, Login, LoginCode,
    LoginCodeRequest, Mode, PartProgress, PartSeen, Parts, PathSeen, Paths, Profiles, Seen, Shown,
    Spool, Spooled, Steer, Steered, SteeredOne, Submit, Submitted, Throughput, Token, Under, Verb,
    Which,
};
pub use client::{Client, ClientError, Events};
pub use files::{ADDRESS, TOKEN};
pub use groups::{
    BeginGroup, FindGroups, FindLeftOut, GroupBegun, GroupSteered, GroupVerb, GroupsFound,
    LeftOutFound, LeftOutSeen, SteerGroup,
};
pub use limits::{Caps, Limits, SetCaps, SetLimits};
pub use place::{SOCKET, socket_path};
pub use problem::Problem;
pub use routes::Routes;
pub use server::{Server, Service};
