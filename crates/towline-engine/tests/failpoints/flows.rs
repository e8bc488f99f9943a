//! The lives of transfers that are crashed.

use towline_core::{Direction, TransferOptions, WhenTargetExists};
use towline_engine::Config;

use crate::tripwire::Crash;
use crate::world::World;

pub(crate) const MIB: u64 = 1 << 20;
/// One PUT, or one range, of two buffers.
const SMALL: u64 = 300 << 10;
/// Fetched at once, where it was listed.
const TINY: u64 = 5000;
/// Two parts, the second of two buffers.
const LARGE: u64 = 5 * MIB + SMALL;

/// One life of one transfer, and how it may end.
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    pub(crate) direction: Direction,
    pub(crate) len: u64,
    pub(crate) options: fn(&mut TransferOptions),
    pub(crate) config: fn(&mut Config),
    /// What the user does.
    pub(crate) script: Script,
    /// It is about what follows these crashes.
    pub(crate) after: &'static [Crash],
    /// What others do while it is down after them.
    pub(crate) meanwhile: fn(&World),
    pub(crate) ends: End,
    /// Downloads: a listing told of the object.
    pub(crate) is_listed: bool,
    /// Downloads: nothing has the target's name.
    pub(crate) is_new: bool,
    /// It may start from zero, and may have to believe what it recorded.
    pub(crate) may_send_again: bool,
    /// Uploads that nobody can tell from somebody else's, and are left alone.
    pub(crate) stay_open: usize,
}

/// What the user does. What was answered is not asked for a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Submits and waits for the end.
    Wait,
    /// Pauses it mid-way, and resumes it.
    Pause,
    /// Pauses it when its last part is sent and not answered, and resumes it.
    PauseLate,
    /// Cancels it mid-way.
    Cancel,
    /// Cancels it just as its file has got its name.
    CancelLate,
    /// Closes the engine mid-way, as SIGTERM does, and opens it again.
    Close,
    /// Writes another source mid-way.
    Rewrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    /// Beside a file that has the target's name.
    CompletedBeside,
    /// Unless the cancel came too late for it.
    Canceled,
    /// Somebody else's object stays.
    Conflict,
}

const FLOW: Flow = Flow {
    name: "",
    direction: Direction::Upload,
    len: SMALL,
    options: |_| (),
    config: |_| (),
    script: Script::Wait,
    after: &[],
    meanwhile: |_| (),
    ends: End::Completed,
    is_listed: false,
    is_new: false,
    may_send_again: false,
    stay_open: 0,
};

const UPLOAD: Flow = Flow { len: LARGE, ..FLOW };

const DOWNLOAD: Flow = Flow {
    direction: Direction::Download,
    len: LARGE,
    ..FLOW
};

const COPY: Flow = Flow {
    direction: Direction::Copy,
    len: LARGE,
    ..FLOW
};

/// The file has its name, and nobody has heard of it.
const RENAMED: &[Crash] = &[Crash::at("rename.ended", 1)];

/// Complete was about to be asked, or was done and its answer is lost.
const COMPLETE_NOT_SENT: &[Crash] = &[Crash::at("store-completing.after", 1)];
const COMPLETE_LOST: &[Crash] = &[Crash::at("complete.answered", 1)];

fn one_by_one(config: &mut Config) {
    config.parts_per_transfer = Some(1);
}

pub(crate) static FLOWS: &[Flow] = &[
    Flow {
        name: "a small upload",
        ..FLOW
    },
    Flow {
        name: "an upload of two parts",
        ..UPLOAD
    },
    Flow {
        name: "a small download",
        len: SMALL,
        ..DOWNLOAD
    },
    Flow {
        name: "a small download that was listed",
        len: TINY,
        is_listed: true,
        is_new: true,
        ..DOWNLOAD
    },
    Flow {
        name: "a small download that was listed, in the place of a file",
        len: TINY,
        is_listed: true,
        ..DOWNLOAD
    },
    Flow {
        name: "a download of two ranges",
        config: |config| config.sync_every = MIB,
        ..DOWNLOAD
    },
    Flow {
        name: "a download beside a file of its name",
        len: SMALL,
        options: |options| options.when_target_exists = WhenTargetExists::Rename,
        ends: End::CompletedBeside,
        ..DOWNLOAD
    },
    Flow {
        name: "a download that goes on after a reboot that lost bytes",
        after: &[Crash::at("store-parts.after", 1)],
        meanwhile: World::reboot_with_lost_bytes,
        may_send_again: true,
        ..DOWNLOAD
    },
    Flow {
        name: "an upload that is paused",
        config: one_by_one,
        script: Script::Pause,
        ..UPLOAD
    },
    Flow {
        name: "an upload that is paused as its last part is sent",
        config: one_by_one,
        script: Script::PauseLate,
        ..UPLOAD
    },
    Flow {
        name: "a download that is paused",
        config: one_by_one,
        script: Script::Pause,
        ..DOWNLOAD
    },
    Flow {
        name: "an upload that is canceled",
        config: one_by_one,
        script: Script::Cancel,
        ends: End::Canceled,
        ..UPLOAD
    },
    Flow {
        name: "a download that is canceled",
        config: one_by_one,
        script: Script::Cancel,
        ends: End::Canceled,
        ..DOWNLOAD
    },
    Flow {
        name: "a download that is canceled as its file gets its name",
        len: SMALL,
        script: Script::CancelLate,
        ends: End::Canceled,
        ..DOWNLOAD
    },
    Flow {
        name: "a download that is canceled after a crash in which its file had got its name",
        len: SMALL,
        script: Script::Cancel,
        after: RENAMED,
        ends: End::Canceled,
        ..DOWNLOAD
    },
    Flow {
        name: "an upload that is canceled after its Complete",
        script: Script::Cancel,
        after: COMPLETE_LOST,
        ends: End::Canceled,
        ..UPLOAD
    },
    Flow {
        name: "an upload whose engine is closed",
        config: one_by_one,
        script: Script::Close,
        ..UPLOAD
    },
    Flow {
        name: "a download whose engine is closed",
        config: one_by_one,
        script: Script::Close,
        ..DOWNLOAD
    },
    Flow {
        name: "an upload whose source is rewritten",
        config: one_by_one,
        script: Script::Rewrite,
        may_send_again: true,
        ..UPLOAD
    },
    Flow {
        name: "an upload that is gone when it is to be completed",
        after: COMPLETE_NOT_SENT,
        meanwhile: World::uploads_vanish,
        may_send_again: true,
        ..UPLOAD
    },
    Flow {
        name: "an upload whose key another object has taken",
        options: |options| options.if_absent = true,
        after: COMPLETE_NOT_SENT,
        meanwhile: World::another_object,
        ends: End::Conflict,
        ..UPLOAD
    },
    Flow {
        name: "a small copy",
        len: SMALL,
        ..COPY
    },
    Flow {
        name: "a copy of two parts",
        ..COPY
    },
    Flow {
        name: "a copy that is canceled",
        config: one_by_one,
        script: Script::Cancel,
        ends: End::Canceled,
        ..COPY
    },
    Flow {
        name: "a copy whose source is replaced",
        config: one_by_one,
        script: Script::Rewrite,
        may_send_again: true,
        ..COPY
    },
    Flow {
        name: "an upload of somebody who may not look",
        after: COMPLETE_NOT_SENT,
        meanwhile: World::deny_looking,
        may_send_again: true,
        ..UPLOAD
    },
];

const CREATE_NOT_SENT: &[Crash] = &[Crash::at("create.begins", 1)];
const CREATE_LOST: &[Crash] = &[Crash::at("create.answered", 1)];

pub(crate) static LOST_CREATE: Flow = Flow {
    name: "an upload whose Create is lost",
    after: CREATE_LOST,
    ..UPLOAD
};

pub(crate) static LOST_CREATE_BESIDE_A_STRANGERS: Flow = Flow {
    name: "an upload whose Create is lost, and somebody opened another one",
    meanwhile: |world| world.stranger_opens(false),
    stay_open: 2,
    ..LOST_CREATE
};

pub(crate) static NO_CREATE_BUT_A_STRANGERS: Flow = Flow {
    name: "an upload whose Create was not sent, and somebody is at work",
    after: CREATE_NOT_SENT,
    meanwhile: |world| world.stranger_opens(true),
    stay_open: 1,
    ..UPLOAD
};
