//! Executes what came by binary order entry; the format is [`xos_api`]'s.

use tokio_tungstenite::tungstenite::Bytes;
use xos_api::{
    ApiError, BY_SESSION, Budget, Code, Entry, EntryAnswer, EntryPromise, EntryRequest, EntryResult, tag_of,
};
use xos_auth::Domain;
use xos_types::{Act, Command, Instructions, Lots, Nonce, SignedTree};

use super::client;
use crate::receipt::{Done, Effect, Head};
use crate::rpc::{COMMANDS_MAX, Rpc, pay_for_signatures};
use crate::signatures::{Unverified, in_session};
use crate::trees::TreeAnswer;

/// The answers to messages of one connection that came together, in their order. All are of [one kind](xos_api::are_alike), or
/// there is one.
pub(super) async fn answers(rpc: &Rpc, messages: &[Bytes]) -> Vec<EntryAnswer> {
    let (mut asked, mut claimed) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
    for message in messages {
        let EntryRequest { tag, entries } = match EntryRequest::decode(message, COMMANDS_MAX) {
            Ok(request) => request,
            Err(error) => {
                client::is_now_known(false);
                let error = ApiError::new(Code::InvalidRequest, error.to_string(), ().into());
                asked.push((tag_of(message), Err(error)));
                continue;
            }
        };
        client::pause().await;
        let entries = match <[Entry; 1]>::try_from(entries) {
            Ok([Entry::Tree(tree, replaces, instructions)]) => {
                // It came alone.
                return vec![tree_answer(rpc, tag, tree, replaces, instructions).await];
            }
            Ok([entry]) => vec![entry],
            Err(entries) => entries,
        };
        // Each message is paid for by itself, and refused by itself.
        let of_message = self::claimed(&rpc.domain, entries).and_then(|claimed| {
            pay_for_signatures(&claimed)?;
            Ok(claimed)
        });
        asked.push((
            tag,
            of_message.map(|of_message| {
                let count = of_message.len();
                claimed.extend(of_message);
                count
            }),
        ));
    }
    let outcomes = if claimed.is_empty() { Ok(Vec::new()) } else { rpc.execute_paid(claimed).await };
    let mut outcomes = outcomes.map(Vec::into_iter).map_err(ApiError::from);
    let answer = |(tag, count)| match (count, &mut outcomes) {
        (Ok(count), Ok(outcomes)) => done(rpc, tag, outcomes.by_ref().take(count).collect()),
        (Ok(_), Err(error)) => refused(tag, error),
        (Err(error), _) => refused(tag, &error),
    };
    asked.into_iter().map(answer).collect()
}

async fn tree_answer(
    rpc: &Rpc,
    tag: u32,
    tree: SignedTree,
    replaces: Box<[Nonce]>,
    instructions: Instructions,
) -> EntryAnswer {
    let signature = Ok(tree.signature);
    let claimed = Unverified::tree(&rpc.domain, tree, signature, replaces, instructions);
    match Box::pin(rpc.execute_tree(claimed)).await {
        Ok(answer) => done_tree(rpc, tag, answer),
        Err(error) => refused(tag, &error),
    }
}

/// Every entry as a command that is still to be verified.
///
/// # Errors
/// If something is neither signed nor covered by a session.
fn claimed(domain: &Domain, entries: Vec<Entry>) -> Result<Vec<Unverified>, ApiError> {
    let claimed = entries.into_iter().map(|entry| {
        Ok::<_, ApiError>(match entry {
            Entry::Cancel(cancel, BY_SESSION) => in_session(cancel.account, Act::Cancel { nonce: cancel.nonce })?,
            Entry::CancelAll(cancel, BY_SESSION) => in_session(cancel.account, Act::CancelAll { below: cancel.below })?,
            Entry::Place(order, instructions, signature) => {
                Unverified::order(order, Ok(signature), |order| Command::Place { order, instructions })
            }
            Entry::Replace(nonce, order, instructions, signature) => {
                Unverified::order(order, Ok(signature), |order| Command::Replace { nonce, order, instructions })
            }
            Entry::Cancel(cancel, signature) => {
                Unverified::new(domain, cancel.account, cancel, Ok(signature), Command::Cancel)
            }
            Entry::CancelAll(cancel, signature) => {
                Unverified::new(domain, cancel.account, cancel, Ok(signature), Command::CancelAll)
            }
            Entry::Tree(tree, replaces, instructions) => {
                let signature = Ok(tree.signature);
                Unverified::tree(domain, tree, signature, replaces, instructions)
            }
        })
    });
    claimed.collect()
}

fn done(rpc: &Rpc, tag: u32, outcomes: Vec<Result<Done, ApiError>>) -> EntryAnswer {
    // The last command's promise covers those before it.
    let last = outcomes.iter().flatten().max_by_key(|done| done.head.sequence);
    let promise = last.map_or_else(EntryPromise::default, |Done { head, .. }| promise(rpc, head));
    let mut reasons = Vec::new();
    let results = (0_u16..).zip(outcomes).map(|(number, outcome)| {
        result(number, outcome.map(|Done { sequence, effect, .. }| (sequence, effect)), &mut reasons)
    });
    let budget = Budget::default();
    EntryAnswer::Done { tag, promise, budget, results: results.collect(), reasons }
}

fn done_tree(rpc: &Rpc, tag: u32, TreeAnswer { sequence, head, orders }: TreeAnswer) -> EntryAnswer {
    let mut reasons = Vec::new();
    let results = (0_u16..)
        .zip(orders)
        .map(|(number, order)| result(number, order.map(|effect| (sequence, effect)), &mut reasons));
    let (promise, budget) = (promise(rpc, &head), Budget::default());
    EntryAnswer::Done { tag, promise, budget, results: results.collect(), reasons }
}

fn result(number: u16, outcome: Result<(u64, Effect), ApiError>, reasons: &mut Vec<(u16, String)>) -> EntryResult {
    match outcome {
        Ok((sequence, Effect { filled, remaining, .. })) => EntryResult { refused: None, sequence, filled, remaining },
        Err(error) => {
            reasons.push((number, error.message));
            EntryResult { refused: Some(error.name), sequence: 0, filled: Lots(0), remaining: Lots(0) }
        }
    }
}

fn promise(rpc: &Rpc, head: &Head) -> EntryPromise {
    let head = head.promised();
    EntryPromise { sequence: head.sequence, log_hash: head.log_hash, signature: rpc.promise(head) }
}

fn refused(tag: u32, error: &ApiError) -> EntryAnswer {
    let retry_ms = error.data["retryMs"].as_u64().and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0);
    EntryAnswer::Refused { tag, code: error.name, retry_ms, budget: Budget::default(), reason: error.message.clone() }
}
