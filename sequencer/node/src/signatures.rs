//! Who signed what: threads that check signatures, each taking all that wait, from all connections, and checking them together.
//!
//! The busier the node, the larger the batches and the cheaper each signature. A batch needs to know who probably signed;
//! that is whoever last acted for the account.
//!
//! Anybody can send signatures that are none, and each costs more than a good one. So those of connections of which nothing good
//! has come yet wait in a lane of their own, a short one, for a thread of the [strangers'](crate::door::threads).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use tokio::sync::oneshot;
use xos_api::ApiError;
use xos_auth::{AuthError, Claim, Domain, KeyBook, Tree, Typed, Verifier};
use xos_types::{AccountId, Act, Address, B256, Command, Instructions, Nonce, Order, Signature, Signed, SignedTree};

use crate::door::client;
use crate::door::threads::{is_strangers, rests};
use crate::ingress::Refused;
use crate::refusal::Signing;
use crate::vitals::Vitals;

/// Signatures that are checked together at most: with more each costs hardly less, and the first would wait for the last.
const TOGETHER_MAX: usize = 1024;
/// The same of those from whom nothing good has come: before their thread rests it takes two tenths of a millisecond.
const STRANGE_TOGETHER_MAX: usize = 4;
/// Signatures that may wait: as many as there are commands that may, and of strangers what takes their thread a second.
const WAITING_MAX: usize = 1 << 15;
const STRANGE_WAITING_MAX: usize = 4_096;
/// Keys that a thread remembers, of about a hundred bytes, and of one in 32 a table of 2 KiB.
const KEYS: usize = 1 << 18;
/// The same of the strangers' thread: who signs well is none for long.
const STRANGE_KEYS: usize = 1 << 12;

/// A command whose signature nobody has looked at.
pub(crate) struct Unverified {
    /// With nobody as its signer, if it is to be signed.
    command: Command,
    account: AccountId,
    proof: Proof,
}

/// What was signed.
enum Digest {
    Of(B256),
    /// The command's order is still to be hashed, which is cheaper together with others.
    OfOrder,
}

/// What comes with a command.
enum Proof {
    Signature(Digest, Signature),
    Malformed(AuthError),
    /// The login of a session, which was looked at when it was opened.
    Login,
}

impl Proof {
    fn of(digest: Digest, signature: Result<Signature, AuthError>) -> Self {
        signature.map_or_else(Self::Malformed, |signature| Self::Signature(digest, signature))
    }
}

/// A signature that is none: who is asked for it, and why it is none.
pub(crate) struct Malformed {
    pub(crate) account: AccountId,
    pub(crate) error: AuthError,
    pub(crate) signing: Option<Signing>,
}

/// A command with its signer, or what is wrong with the signature.
pub(crate) type Verified = Result<Command, Box<Malformed>>;

impl Unverified {
    /// `signature` is what came with the message.
    pub(crate) fn new<T: Typed>(
        domain: &Domain,
        account: AccountId,
        message: T,
        signature: Result<Signature, AuthError>,
        command: impl FnOnce(Signed<T>) -> Command,
    ) -> Self {
        let digest = Digest::Of(domain.digest(&message));
        Self { command: command(unsigned(message, &signature)), account, proof: Proof::of(digest, signature) }
    }

    /// An order, and what is to be done with it.
    pub(crate) fn order(
        order: Order,
        signature: Result<Signature, AuthError>,
        command: impl FnOnce(Signed<Order>) -> Command,
    ) -> Self {
        let command = command(unsigned(order, &signature));
        Self { command, account: order.account, proof: Proof::of(Digest::OfOrder, signature) }
    }

    /// Orders under one signature. Nobody has signed the tree yet.
    pub(crate) fn tree(
        domain: &Domain,
        tree: SignedTree,
        signature: Result<Signature, AuthError>,
        replaces: Box<[Nonce]>,
        instructions: Instructions,
    ) -> Self {
        let mut built = Tree::default();
        built.build(domain, tree.orders()).expect("a signed tree has as many orders as a tree may");
        let digest = Digest::Of(domain.digest(&built.message()));
        let (account, proof) = (tree.account(), Proof::of(digest, signature));
        Self { command: Command::PlaceTree { tree, replaces, instructions }, account, proof }
    }

    /// Whether a signature is to be checked.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.proof, Proof::Signature(..))
    }

    /// The order that is to be hashed, if its signature is to be checked.
    fn unhashed(&self) -> Option<Order> {
        match (&self.proof, &self.command) {
            (
                Proof::Signature(Digest::OfOrder, _),
                Command::Place { order, .. }
                | Command::Replace { order, .. }
                | Command::Plan { order, .. }
                | Command::Replan { order, .. },
            ) => Some(order.message),
            _ => None,
        }
    }

    /// Takes its verdict if a signature was checked.
    fn verified(self, domain: &Domain, verdict: impl FnOnce() -> Result<Address, AuthError>) -> Verified {
        let Self { mut command, account, proof } = self;
        let verdict = match proof {
            Proof::Login => return Ok(command),
            Proof::Malformed(error) => Err(error),
            Proof::Signature(..) => verdict(),
        };
        match verdict {
            Ok(signer) => {
                command.set_signer(signer);
                Ok(command)
            }
            Err(error) => Err(Box::new(Malformed { account, error, signing: Signing::of_command(domain, &command) })),
        }
    }
}

/// With nobody as its signer until somebody has looked.
fn unsigned<T>(message: T, signature: &Result<Signature, AuthError>) -> Signed<T> {
    Signed { message, signature: signature.as_ref().copied().unwrap_or_default(), signer: Address::ZERO }
}

/// What a session of the connection that asks does for an account.
///
/// # Errors
/// If it has none for it.
pub(crate) fn in_session(account: AccountId, act: Act) -> Result<Unverified, ApiError> {
    let command = client::sessions()?.command(account, act)?;
    Ok(Unverified { command, account, proof: Proof::Login })
}

struct Job {
    unverified: Vec<Unverified>,
    reply: oneshot::Sender<Vec<Verified>>,
}

/// The way to the threads; cheap to clone.
#[derive(Clone)]
pub(crate) struct Signatures {
    queue: Arc<Queue>,
    signers: Arc<Signers>,
    /// When all are gone, the threads end.
    _asking: Arc<Asking>,
}

/// Somebody who may still ask.
struct Asking(Weak<Queue>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.close(&mut queue.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// What waits for the threads.
#[derive(Default)]
struct Queue {
    lanes: Mutex<Lanes>,
    known_came: Condvar,
    stranger_came: Condvar,
}

impl Queue {
    /// Nothing more comes.
    fn close(&self, lanes: &mut Lanes) {
        lanes.closed = true;
        self.known_came.notify_all();
        self.stranger_came.notify_all();
    }
}

#[derive(Default)]
struct Lanes {
    known: Lane,
    strange: Lane,
    closed: bool,
}

#[derive(Default)]
struct Lane {
    jobs: VecDeque<Job>,
    signatures: usize,
}

impl Lane {
    /// Jobs from the front, until they have so many signatures.
    fn take(&mut self, most: usize) -> Vec<Job> {
        let (mut taken, mut count) = (Vec::new(), 0);
        while count < most
            && let Some(job) = self.jobs.pop_front()
        {
            count += job.unverified.len();
            taken.push(job);
        }
        self.signatures -= count;
        taken
    }

    fn put(&mut self, job: Job, most: usize) -> Result<(), Refused> {
        let count = job.unverified.len();
        // A message is never larger than what may wait when nothing does.
        if self.signatures + count > most {
            return Err(Refused::Overloaded { what: "signatures", queued: self.signatures, limit: most });
        }
        self.signatures += count;
        self.jobs.push_back(job);
        Ok(())
    }
}

/// Who acted last for each account, as far as commands took effect: as many as there are accounts at most.
#[derive(Default)]
struct Signers(Mutex<HashMap<AccountId, Address>>);

impl Signatures {
    /// Starts the threads, one for every second processor and one for strangers. They end when nobody can ask any more.
    pub(crate) fn start(domain: Domain, vitals: Arc<Vitals>) -> io::Result<Self> {
        let (queue, signers) = (Arc::<Queue>::default(), Arc::<Signers>::default());
        let threads = std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
        let checking = |whose| {
            let (queue, signers, vitals) = (Arc::clone(&queue), Arc::clone(&signers), Arc::clone(&vitals));
            Checking { whose, domain, queue, signers, vitals }
        };
        for number in 0..threads {
            let checking = checking(Whose::Known);
            std::thread::Builder::new().name(format!("signatures-{number}")).spawn(move || checking.run())?;
        }
        let strange = checking(Whose::Strangers);
        std::thread::Builder::new().name("signatures-str".into()).spawn(move || strange.run())?;
        let asking = Arc::new(Asking(Arc::downgrade(&queue)));
        Ok(Self { queue, signers, _asking: asking })
    }

    /// One verdict for each, in order.
    ///
    /// # Errors
    /// If too many wait, or the node is going down.
    pub(crate) async fn check(&self, unverified: Vec<Unverified>) -> Result<Vec<Verified>, Refused> {
        let (reply, verdicts) = oneshot::channel();
        let job = Job { unverified, reply };
        let came = {
            let mut lanes = self.queue.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if lanes.closed {
                return Err(Refused::Stopped);
            }
            if client::is_known() {
                lanes.known.put(job, WAITING_MAX)?;
                &self.queue.known_came
            } else {
                lanes.strange.put(job, STRANGE_WAITING_MAX)?;
                &self.queue.stranger_came
            }
        };
        came.notify_one();
        verdicts.await.map_err(|_| Refused::Stopped)
    }

    /// Takes note of who may act for accounts: those whose commands took effect.
    pub(crate) fn acted(&self, signers: impl Iterator<Item = (AccountId, Address)>) {
        let mut known = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(signers);
    }
}

/// Whose signatures a thread checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Known,
    Strangers,
}

struct Checking {
    whose: Whose,
    domain: Domain,
    queue: Arc<Queue>,
    signers: Arc<Signers>,
    vitals: Arc<Vitals>,
}

impl Drop for Checking {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.vitals.broke("a thread that checks signatures");
            let mut lanes = self.queue.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits for verdicts that will not come.
            *lanes = Lanes::default();
            self.queue.close(&mut lanes);
        }
    }
}

impl Checking {
    fn run(self) {
        let keys = match self.whose {
            Whose::Known => KEYS,
            Whose::Strangers => {
                is_strangers();
                STRANGE_KEYS
            }
        };
        let (mut verifier, mut keys) = (Verifier::new(), KeyBook::new(keys));
        let (mut orders, mut digests) = (Vec::new(), Vec::new());
        let (mut claims, mut verdicts) = (Vec::new(), Vec::new());
        while let Some(jobs) = self.next_jobs() {
            orders.clear();
            digests.clear();
            claims.clear();
            verdicts.clear();
            orders.extend(jobs.iter().flat_map(|job| &job.unverified).filter_map(Unverified::unhashed));
            self.domain.digests(&orders, &mut digests);
            let mut digests = digests.iter();
            {
                let signers = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
                claims.extend(jobs.iter().flat_map(|job| &job.unverified).filter_map(|unverified| {
                    let Proof::Signature(digest, signature) = &unverified.proof else { return None };
                    let signer = signers.get(&unverified.account).copied();
                    let digest = match digest {
                        Digest::Of(digest) => *digest,
                        Digest::OfOrder => B256::from(*digests.next().expect("a digest for each order")),
                    };
                    Some(Claim { digest, signature: *signature, signer })
                }));
            }
            let mut verify = |claims: &[Claim]| {
                self.vitals.metrics.verifying(|| verifier.verify(&mut keys, claims, &mut verdicts));
            };
            match self.whose {
                Whose::Known => verify(&claims),
                // One message has more than that.
                Whose::Strangers => {
                    claims.chunks(STRANGE_TOGETHER_MAX).for_each(|claims| rests(|| verify(claims)));
                }
            }
            let mut verdicts = verdicts.drain(..);
            for Job { unverified, reply } in jobs {
                let mut verdict = || verdicts.next().expect("a verdict for each claim");
                let verified = unverified.into_iter().map(|each| each.verified(&self.domain, &mut verdict));
                // Whoever asked may have gone.
                let _ = reply.send(verified.collect());
            }
        }
    }

    /// Up to a batch; `None` if there will be no more.
    fn next_jobs(&self) -> Option<Vec<Job>> {
        let mut lanes = self.queue.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (jobs, came) = match self.whose {
                Whose::Known => (lanes.known.take(TOGETHER_MAX), &self.queue.known_came),
                Whose::Strangers => (lanes.strange.take(STRANGE_TOGETHER_MAX), &self.queue.stranger_came),
            };
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if lanes.closed {
                return None;
            }
            drop(came.wait(lanes).unwrap_or_else(PoisonError::into_inner));
            // Whoever waits for this core may bring more, and several are cheaper together.
            std::thread::yield_now();
            lanes = self.queue.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cancel;

    fn job(count: usize) -> Job {
        let unverified = || Unverified { command: cancel(1), account: AccountId(3), proof: Proof::Login };
        Job { unverified: (0..count).map(|_| unverified()).collect(), reply: oneshot::channel().0 }
    }

    fn checking(whose: Whose, queue: &Arc<Queue>) -> Checking {
        let domain = Domain::from(&crate::testing::GROUP);
        let vitals = crate::testing::idle_vitals();
        Checking { whose, domain, queue: Arc::clone(queue), signers: Arc::default(), vitals }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_has_panicked_and_the_node_wants_to_be_started_again() {
        let queue = Arc::<Queue>::default();
        let checking = checking(Whose::Known, &queue);
        let vitals = Arc::clone(&checking.vitals);
        let asking = Arc::new(Asking(Arc::downgrade(&queue)));
        let signatures = Signatures { queue, signers: Arc::default(), _asking: asking };
        let waits = tokio::spawn({
            let signatures = signatures.clone();
            async move { signatures.check(job(1).unverified).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(vitals.hangs(), None);
        let thread = std::thread::spawn(move || {
            let _checking = checking;
            panic!("a test's panic");
        });
        assert!(thread.join().is_err());
        assert!(matches!(waits.await.unwrap(), Err(Refused::Stopped)));
        assert!(matches!(signatures.check(job(1).unverified).await, Err(Refused::Stopped)));
        assert!(vitals.hangs().unwrap().contains("signatures panicked"));
    }

    #[test]
    fn strangers_wait_in_a_short_lane_for_a_thread_of_their_own() {
        let queue = Arc::<Queue>::default();
        let (known, strange) = (checking(Whose::Known, &queue), checking(Whose::Strangers, &queue));
        {
            let mut lanes = queue.lanes.lock().unwrap();
            let mut strangers = 0;
            while lanes.strange.put(job(1), STRANGE_WAITING_MAX).is_ok() {
                strangers += 1;
            }
            assert_eq!(strangers, STRANGE_WAITING_MAX);
            for _ in 0..4 {
                lanes.known.put(job(1_000), WAITING_MAX).unwrap();
            }
        }
        let sizes =
            |jobs: Option<Vec<Job>>| jobs.map(|jobs| jobs.iter().map(|job| job.unverified.len()).sum::<usize>());
        drop(Asking(Arc::downgrade(&queue)));
        let taken: Vec<_> = (0..3).map(|_| sizes(known.next_jobs())).collect();
        assert_eq!(taken, [Some(2_000), Some(2_000), None], "when nobody can ask any more they end");
        for _ in 0..STRANGE_WAITING_MAX / STRANGE_TOGETHER_MAX {
            assert_eq!(sizes(strange.next_jobs()), Some(STRANGE_TOGETHER_MAX));
        }
        assert_eq!(sizes(strange.next_jobs()), None);
    }
}
