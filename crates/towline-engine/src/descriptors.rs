//! How many files and sockets this process may have open, and what that allows.
//!
//! The rest of the process needs some too: the store, the control socket and its
//! clients. So they never run out, an engine takes less than there are.

use std::ops::RangeInclusive;

use rustix::process::{Resource, getrlimit};

use crate::config::{Config, cpus};

/// So many are left to the rest of the process.
const SPARE: u64 = 32;
/// A request has a socket, a file, and for moments a directory.
const PER_REQUEST: u64 = 3;
/// No more requests than this at one time unless somebody says so.
const MOST: usize = 256;

/// A configuration within what the system allows this process.
pub(crate) fn within_limit(config: Config) -> Config {
    let limit = getrlimit(Resource::Nofile).current;
    let fitted = fit(config.clone(), limit);
    if (fitted.requests, fitted.window) != (config.requests, config.window) {
        let (requests, window) = (fitted.requests, fitted.window);
        tracing::warn!(
            ?limit,
            requests,
            window,
            "few files may be open: less is done at one time"
        );
    }
    fitted
}

/// From how many requests at one time to how many.
pub(crate) fn requests_of(config: &Config) -> RangeInclusive<usize> {
    match config.requests {
        Some(requests) => requests.max(1)..=requests.max(1),
        None => automatic(config.window, getrlimit(Resource::Nofile).current),
    }
}

/// As many as there are descriptors for beside the transfers that are held.
fn automatic(window: usize, limit: Option<u64>) -> RangeInclusive<usize> {
    let left = free(limit).saturating_sub(window as u64) / PER_REQUEST;
    let most = usize::try_from(left).unwrap_or(usize::MAX).clamp(1, MOST);
    (2 * (cpus() + 1)).min(most)..=most
}

/// Requests at one time that there are descriptors for.
pub(crate) fn most_requests() -> usize {
    requests(getrlimit(Resource::Nofile).current)
}

/// `None` is no limit.
fn fit(mut config: Config, limit: Option<u64>) -> Config {
    config.requests = config.requests.map(|asked| asked.min(requests(limit)));
    // Each transfer that is held may have its temporary file open.
    let least = *automatic(0, limit).start();
    let requests = config.requests.unwrap_or(least) as u64;
    let left = free(limit).saturating_sub(PER_REQUEST * requests);
    let window = usize::try_from(left).unwrap_or(usize::MAX).max(1);
    config.window = config.window.min(window);
    config
}

fn requests(limit: Option<u64>) -> usize {
    usize::try_from(free(limit) / (PER_REQUEST + 1))
        .unwrap_or(usize::MAX)
        .max(1)
}

fn free(limit: Option<u64>) -> u64 {
    limit.unwrap_or(u64::MAX).saturating_sub(SPARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_at_one_time_leaves_32_descriptors() {
        let wide = Config {
            requests: Some(256),
            window: 512,
            ..Config::default()
        };
        for limit in [0, 1, 33, 40, 64, 100, 256, 1024, 1_000_000] {
            let fitted = fit(wide.clone(), Some(limit));
            let requests = fitted.requests.unwrap();
            let used = PER_REQUEST as usize * requests + fitted.window;
            assert!(requests > 0 && fitted.window > 0, "{limit}");
            // One request of one transfer is the least.
            let allowed = (limit.saturating_sub(SPARE) as usize).max(4);
            assert!(used <= allowed, "{limit}: {fitted:?}");
        }
        let roomy = fit(wide.clone(), Some(20_000));
        assert_eq!((roomy.requests, roomy.window), (Some(256), 512));
        let unlimited = fit(wide, None);
        assert_eq!((unlimited.requests, unlimited.window), (Some(256), 512));
    }

    #[test]
    fn an_automatic_number_of_requests_leaves_as_many() {
        let cpus = std::thread::available_parallelism().unwrap().get();
        for limit in [0, 1, 33, 40, 64, 100, 256, 1024, 1_000_000] {
            let fitted = fit(Config::default(), Some(limit));
            assert_eq!(fitted.requests, None);
            let most = *automatic(fitted.window, Some(limit)).end();
            let allowed = (limit.saturating_sub(SPARE) as usize).max(4);
            let used = PER_REQUEST as usize * most + fitted.window;
            assert!(used <= allowed, "{limit}: {most}, {fitted:?}");
        }
        let usual = fit(Config::default(), Some(1024));
        assert_eq!(usual.window, Config::default().window);
        assert_eq!(automatic(512, Some(1024)), 2 * (cpus + 1)..=160);
        assert_eq!(automatic(512, None), 2 * (cpus + 1)..=256);
    }
}
