//! Nodes that the topology names by a host's name: what address that is now.
//!
//! ```text
//!  data core   before it connects ──▶ Lookup ──▶ a thread that asks the host's resolver, and may wait for long
//!              looks at the answer again and again until its deadline ◀── addresses, or none
//!              none in time: the addresses that the name meant last, if it has been resolved before
//! ```
//!
//! **Not** a cache: whoever connects asks, so that a new address is used with the first connection after the old one has failed. Answers
//! count for [`FRESH_TIME`], since the cores of an edge connect together.
//!
//! **Invariants**: no core waits for the host's resolver, or longer than its deadline; at most [`LOOKUPS_MAX`] questions wait.
//!
//! **Source**: getaddrinfo(3): it blocks, for as long as resolv.conf(5) says.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::Duration;

use reactor::Instant;
use shardstore::placement::{HostPort, NodeAddress};

use super::fault::ConnectionFault;
use super::health::NodeHealth;
use super::shared::ClusterShared;

/// Questions that wait for the thread; who finds no room asks again with the next connection.
const LOOKUPS_MAX: usize = 1024;

/// For how long an answer counts.
const FRESH_TIME: Duration = Duration::from_millis(500);

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;

/// How often a core looks whether an answer has come.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

type Answer = Arc<OnceLock<Arc<[IpAddr]>>>;

struct Lookup {
    host: Arc<str>,
    answer: Answer,
}

/// Where names are resolved: a thread of its own, for all cores.
#[derive(Clone, Debug)]
pub struct NameLookup(Asked);

#[derive(Clone, Debug)]
enum Asked {
    Thread(SyncSender<Lookup>),
    /// Where time is virtual, who asks is answered at once.
    #[cfg(test)]
    InPlace(fn(&str) -> Vec<IpAddr>),
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.host.fmt(f)
    }
}

impl NameLookup {
    /// Starts the thread. It ends when nobody can ask any more.
    ///
    /// # Errors
    /// The host's: no thread.
    pub fn start() -> io::Result<Self> {
        Self::by(of_host)
    }

    fn by(resolve: impl Fn(&str) -> Vec<IpAddr> + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(LOOKUPS_MAX);
        Builder::new().name("names".to_owned()).spawn(move || answer_all(&receiver, resolve))?;
        Ok(NameLookup(Asked::Thread(sender)))
    }

    #[cfg(test)]
    pub(super) const fn in_place(resolve: fn(&str) -> Vec<IpAddr>) -> Self {
        NameLookup(Asked::InPlace(resolve))
    }

    fn ask(&self, host: &Arc<str>) -> Option<Answer> {
        let answer = Answer::default();
        let lookup = Lookup { host: Arc::clone(host), answer: Arc::clone(&answer) };
        let is_asked = match &self.0 {
            Asked::Thread(sender) => sender.try_send(lookup).is_ok(),
            #[cfg(test)]
            Asked::InPlace(resolve) => lookup.answer.set(resolve(host).into()).is_ok(),
        };
        is_asked.then_some(answer)
    }
}

fn of_host(host: &str) -> Vec<IpAddr> {
    // The port is not part of the question.
    let addresses = (host, 0).to_socket_addrs().into_iter().flatten();
    addresses.take(ADDRESSES_MAX).map(|address| address.ip()).collect()
}

#[expect(clippy::disallowed_methods, reason = "a thread without a reactor")]
fn answer_all(lookups: &Receiver<Lookup>, resolve: impl Fn(&str) -> Vec<IpAddr>) {
    let mut last: HashMap<Arc<str>, (std::time::Instant, Arc<[IpAddr]>)> = HashMap::new();
    while let Ok(Lookup { host, answer }) = lookups.recv() {
        last.retain(|_, (at, _)| at.elapsed() < FRESH_TIME);
        let (_, addresses) = last.entry(Arc::clone(&host)).or_insert_with(|| {
            let addresses = resolve(&host);
            (std::time::Instant::now(), addresses.into())
        });
        // Nobody else answers.
        let _ = answer.set(Arc::clone(addresses));
    }
}

/// The address to connect to for a node.
///
/// # Errors
/// [`ConnectionFault::Unresolved`].
pub(super) async fn locate(
    shared: &ClusterShared,
    node: &NodeHealth,
    deadline: Instant,
) -> Result<SocketAddr, ConnectionFault> {
    let name = match &node.address {
        NodeAddress::Ip(address) => return Ok(*address),
        NodeAddress::Name(name) => name,
    };
    if let Some(addresses) = resolve(shared, name, deadline).await.filter(|addresses| !addresses.is_empty()) {
        *node.resolved.borrow_mut() = addresses;
    }
    let known = node.resolved.borrow();
    // After a failure the next one is tried: a name may mean addresses of which the node listens on one.
    let turn = (node.unmet.get() as usize).checked_rem(known.len());
    let address = turn.map(|turn| SocketAddr::new(known[turn], name.port()));
    address.ok_or_else(|| ConnectionFault::Unresolved(Arc::clone(name.host())))
}

/// What a name means now; nothing where that is not known in half of the time, so that the other half is left to connect.
async fn resolve(shared: &ClusterShared, name: &HostPort, deadline: Instant) -> Option<Arc<[IpAddr]>> {
    let answer = shared.names.as_ref()?.ask(name.host())?;
    let now = shared.reactor.now();
    let until = now + deadline.since(now) / 2;
    while answer.get().is_none() && shared.reactor.now() < until {
        shared.reactor.sleep(LOOK_INTERVAL).await;
    }
    answer.get().cloned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    fn wait(answer: &Answer) -> Vec<IpAddr> {
        while answer.get().is_none() {
            std::thread::yield_now();
        }
        answer.get().unwrap().to_vec()
    }

    #[test]
    fn every_question_is_answered_and_questions_together_are_one() {
        static ASKED: AtomicU8 = AtomicU8::new(0);
        let names = NameLookup::by(|host| {
            let next = || IpAddr::from([10, 0, 0, ASKED.fetch_add(1, Ordering::Relaxed)]);
            (host != "nowhere").then(next).into_iter().collect()
        })
        .unwrap();
        let (node, nowhere): (Arc<str>, Arc<str>) = ("node-1".into(), "nowhere".into());
        let answers = [&node, &nowhere, &node].map(|host| names.ask(host).unwrap());
        let [first, none, again] = answers.map(|answer| wait(&answer));
        assert_eq!((&*first, &*none), (&[[10, 0, 0, 0].into()][..], &[][..]));
        assert!(again == first || ASKED.load(Ordering::Relaxed) == 2, "the host may have been busy for long");
    }

    #[test]
    fn the_host_knows_itself() {
        let names = NameLookup::start().unwrap();
        assert!(wait(&names.ask(&"localhost".into()).unwrap()).iter().any(IpAddr::is_loopback));
        assert!(wait(&names.ask(&"no-such-host.invalid".into()).unwrap()).is_empty());
    }
}
