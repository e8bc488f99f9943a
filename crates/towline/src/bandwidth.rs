//! Caps on how fast bytes move.

use std::collections::BTreeMap;

use towline_core::Direction;
use towline_engine::{Bandwidth, Rate};

use crate::{Error, TransferUtility};

impl TransferUtility {
    /// Caps, from now on, how many bytes a second move in one direction, over all
    /// transfers; `None` lifts the cap. What is under way keeps to it at once.
    /// It is not kept: the next utility begins with
    /// [`Config::bandwidth`](crate::Config::bandwidth).
    ///
    /// Only the bytes of files, streams and objects that transfers move are
    /// counted. Their requests share them evenly, so the lower a cap is, the
    /// longer each waits for its turn: under 64 KiB a second, allow few requests
    /// at one time ([`set_limits`](Self::set_limits)). A cap on copies does nothing: their
    /// bytes do not pass here.
    ///
    /// ```no_run
    /// # fn example(utility: towline::TransferUtility) -> Result<(), Box<dyn std::error::Error>> {
    /// use towline::{Direction, Rate};
    ///
    /// let cap = Rate::from_bytes_per_second(5 << 20)?;
    /// utility.set_bandwidth(Direction::Upload, Some(cap))?;
    /// # Ok(()) }
    /// ```
    pub fn set_bandwidth(&self, direction: Direction, cap: Option<Rate>) -> Result<(), Error> {
        Ok(self.engine().set_bandwidth(direction, cap)?)
    }

    /// The same for the transfers of a [group](crate::TransferRequest::group), over
    /// all of them. Their bytes count for the cap of all transfers too. The group
    /// need not be there yet; the cap ends when the utility does.
    pub fn set_group_bandwidth(
        &self,
        group: &str,
        direction: Direction,
        cap: Option<Rate>,
    ) -> Result<(), Error> {
        Ok(self.engine().set_group_bandwidth(group, direction, cap)?)
    }

    /// The caps of all transfers as they are now, see
    /// [`set_bandwidth`](Self::set_bandwidth).
    pub fn bandwidth(&self) -> Bandwidth {
        self.engine().bandwidth()
    }

    /// The groups that have a cap, by name, and which.
    pub fn group_bandwidth(&self) -> BTreeMap<String, Bandwidth> {
        self.engine().group_bandwidth()
    }
}
