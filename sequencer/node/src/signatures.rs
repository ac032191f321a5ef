//! Who signed what: threads that check signatures, each taking all that wait, from all connections, and checking them together.
//!
//! The busier the node, the larger the batches and the cheaper each signature. A batch needs to know who probably signed;
//! that is whoever last acted for the account.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;
use xos_auth::{AuthError, Claim, Domain, KeyBook, Tree, Typed, Verifier};
use xos_types::{AccountId, Address, B256, Command, Instructions, Nonce, Signature, Signed, SignedTree};

use crate::refusal::Signing;
use crate::vitals::Vitals;

/// Signatures that are checked together at most: with more each costs hardly less, and the first would wait for the last.
const TOGETHER_MAX: usize = 1024;
/// Keys that a thread remembers, of about a hundred bytes.
const KEYS: usize = 1 << 18;

/// A command whose signature nobody has looked at.
pub(crate) struct Unverified {
    /// With nobody as its signer.
    command: Command,
    account: AccountId,
    digest: B256,
    signature: Result<Signature, AuthError>,
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
    /// `digest` is the message's, `signature` what came with it.
    pub(crate) fn new<T: Typed>(
        account: AccountId,
        message: T,
        digest: B256,
        signature: Result<Signature, AuthError>,
        command: impl FnOnce(Signed<T>) -> Command,
    ) -> Self {
        let signed =
            Signed { message, signature: signature.as_ref().copied().unwrap_or_default(), signer: Address::ZERO };
        Self { command: command(signed), account, digest, signature }
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
        let (account, digest) = (tree.account(), domain.digest(&built.message()));
        Self { command: Command::PlaceTree { tree, replaces, instructions }, account, digest, signature }
    }

    fn verified(self, domain: &Domain, verdict: Result<Address, AuthError>) -> Verified {
        let Self { mut command, account, .. } = self;
        match verdict {
            Ok(signer) => {
                command.set_signer(signer);
                Ok(command)
            }
            Err(error) => Err(Box::new(Malformed { account, error, signing: Signing::of_command(domain, &command) })),
        }
    }
}

struct Job {
    unverified: Vec<Unverified>,
    reply: oneshot::Sender<Vec<Verified>>,
}

/// The way to the threads; cheap to clone.
#[derive(Clone)]
pub(crate) struct Signatures {
    jobs: mpsc::Sender<Job>,
    signers: Arc<Signers>,
}

/// Who acted last for each account, as far as commands took effect: as many as there are accounts at most.
#[derive(Default)]
struct Signers(Mutex<HashMap<AccountId, Address>>);

impl Signatures {
    /// Starts the threads, one for every second processor. They end when nobody can ask any more.
    pub(crate) fn start(domain: Domain, vitals: Arc<Vitals>) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let (waiting, signers) = (Arc::new(Mutex::new(waiting)), Arc::<Signers>::default());
        let threads = std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
        for number in 0..threads {
            let (waiting, signers, vitals) = (Arc::clone(&waiting), Arc::clone(&signers), Arc::clone(&vitals));
            let checking = Checking { domain, waiting, signers, vitals };
            std::thread::Builder::new().name(format!("signatures-{number}")).spawn(move || checking.run())?;
        }
        Ok(Self { jobs, signers })
    }

    /// One verdict for each, in order; nothing if the node is going down.
    pub(crate) async fn check(&self, unverified: Vec<Unverified>) -> Option<Vec<Verified>> {
        let (reply, verdicts) = oneshot::channel();
        self.jobs.send(Job { unverified, reply }).ok()?;
        verdicts.await.ok()
    }

    /// Takes note of who may act for accounts: those whose commands took effect.
    pub(crate) fn acted(&self, signers: impl Iterator<Item = (AccountId, Address)>) {
        let mut known = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(signers);
    }
}

struct Checking {
    domain: Domain,
    waiting: Arc<Mutex<mpsc::Receiver<Job>>>,
    signers: Arc<Signers>,
    vitals: Arc<Vitals>,
}

impl Checking {
    fn run(self) {
        let (mut verifier, mut keys) = (Verifier::new(), KeyBook::new(KEYS));
        let (mut claims, mut verdicts) = (Vec::new(), Vec::new());
        while let Some(jobs) = self.next_jobs() {
            claims.clear();
            verdicts.clear();
            {
                let signers = self.signers.0.lock().unwrap_or_else(PoisonError::into_inner);
                claims.extend(jobs.iter().flat_map(|job| &job.unverified).filter_map(|unverified| {
                    let signature = unverified.signature.as_ref().ok().copied()?;
                    let signer = signers.get(&unverified.account).copied();
                    Some(Claim { digest: unverified.digest, signature, signer })
                }));
            }
            self.vitals.metrics.verifying(|| verifier.verify(&mut keys, &claims, &mut verdicts));
            let mut verdicts = verdicts.drain(..);
            for Job { unverified, reply } in jobs {
                let verified = unverified.into_iter().map(|unverified| {
                    let verdict = match unverified.signature.clone() {
                        Ok(_) => verdicts.next().expect("a verdict for each claim"),
                        Err(error) => Err(error),
                    };
                    unverified.verified(&self.domain, verdict)
                });
                // Whoever asked may have gone.
                let _ = reply.send(verified.collect());
            }
        }
    }

    /// All that wait, up to a batch; `None` if there will be no more.
    fn next_jobs(&self) -> Option<Vec<Job>> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting.recv().ok()?;
        let mut count = first.unverified.len();
        let mut jobs = vec![first];
        while count < TOGETHER_MAX
            && let Ok(job) = waiting.try_recv()
        {
            count += job.unverified.len();
            jobs.push(job);
        }
        Some(jobs)
    }
}
