//! What may happen to batches on their way, and that all of them settle nevertheless, each once.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use xos_chain::{At, InboxConfig, InboxNews, InboxReader, Settled, SubmitterConfig};
use xos_types::{AccountId, InboxPayload};

use crate::proxy::Proxy;
use crate::{ALICE, BOB, Exchange, LONG, Submission, items};

fn ids(settled: &[Settled]) -> Vec<u64> {
    settled.iter().map(|batch| batch.id).collect()
}

async fn settles_all(exchange: &Exchange, submission: &mut Submission) -> Vec<Settled> {
    submission.hand_in(&exchange.frames).await;
    let settled = submission.settles(exchange.frames.len()).await;
    assert_eq!(ids(&settled), (1..=exchange.frames.len() as u64).collect::<Vec<_>>());
    exchange.agrees_with_the_chain().await;
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_batches_go_five_at_a_time() {
    let mut exchange = Exchange::open().await;
    for _ in 0..99 {
        exchange.trade(1, 300);
        exchange.frame().await;
    }
    // A block is mined whenever as many batches wait as may be on their way.
    exchange.anvil.mine_every(0).await;
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames).await;
    let relayer = exchange.sequencer.address();
    for block in 1..=20 {
        let waiting = timeout(LONG, async {
            while exchange.anvil.pending_nonce(relayer).await < 5 * block {
                sleep(Duration::from_millis(20)).await;
            }
        });
        waiting.await.expect("five are on their way");
        sleep(Duration::from_millis(100)).await;
        assert_eq!(exchange.anvil.pending_nonce(relayer).await, 5 * block, "and no more than five");
        exchange.anvil.mine(1).await;
    }
    let settled = submission.settles(100).await;
    assert_eq!(ids(&settled), (1..=100).collect::<Vec<_>>());
    assert_eq!(settled[99].block - settled[0].block, 19);
    exchange.agrees_with_the_chain().await;
    assert_eq!(submission.status.borrow().reverted, 0);
    assert_eq!(exchange.anvil.nonce(relayer).await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reorganisation_takes_back_is_settled_again() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(11).await;
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    let before = settles_all(&exchange, &mut submission).await;
    for depth in [1, 3] {
        let last = exchange.chain.last_batch(At::Latest).await.unwrap().id;
        assert_eq!(last, 12);
        // The newest blocks must be those of the last batches: whatever came behind them goes too.
        let behind = exchange.chain.block_number().await.unwrap() - before[11].block;
        exchange.anvil.reorg(behind + depth).await;
        let left = exchange.chain.last_batch(At::Latest).await.unwrap().id;
        assert!(left < 12, "the reorganisation took batches back");
        let again = submission.settles(usize::try_from(12 - left).unwrap()).await;
        assert_eq!(ids(&again), (left + 1..=12).collect::<Vec<_>>());
        let hashes = |batches: &[Settled]| batches.iter().map(|batch| batch.hash).collect::<Vec<_>>();
        assert_eq!(hashes(&again), hashes(&before[usize::try_from(left).unwrap()..]));
        exchange.agrees_with_the_chain().await;
        assert_eq!(submission.status.borrow().reverted, 0);
        if depth == 1 {
            // The second one goes deeper than the batches that were settled anew.
            sleep(Duration::from_secs(1)).await;
        }
    }
    assert!(submission.status.borrow().reorganised >= 2);
    // And on it goes.
    exchange.frames_of_trades(1).await;
    submission.hand_in(&exchange.frames[12..]).await;
    assert_eq!(submission.next().await.id, 13);
    exchange.agrees_with_the_chain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_final_batch_is_said_to_be_final() {
    let exchange = Exchange::open().await;
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    settles_all(&exchange, &mut submission).await;
    assert_eq!(submission.status.borrow().finalized, 0);
    exchange.anvil.mine(200).await;
    let status = timeout(LONG, submission.status.wait_for(|status| status.finalized == 1)).await.unwrap().unwrap();
    assert_eq!((status.settled, status.reorganised), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_the_chain_forgets_are_sent_again() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(6).await;
    exchange.anvil.mine_every(0).await;
    let config = SubmitterConfig { resend_after: Duration::from_millis(800), ..SubmitterConfig::default() };
    let mut submission = exchange.submit(&exchange.anvil.url, config);
    submission.hand_in(&exchange.frames).await;
    sleep(Duration::from_millis(600)).await;
    exchange.anvil.drop_pending().await;
    exchange.anvil.mine_every(1).await;
    let settled = submission.settles(7).await;
    assert_eq!(ids(&settled), (1..=7).collect::<Vec<_>>());
    exchange.agrees_with_the_chain().await;
    assert_eq!(submission.status.borrow().reverted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_gas_price_is_followed() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(3).await;
    exchange.anvil.mine_every(0).await;
    let config = SubmitterConfig { resend_after: Duration::from_millis(800), ..SubmitterConfig::default() };
    let mut submission = exchange.submit(&exchange.anvil.url, config);
    submission.hand_in(&exchange.frames).await;
    sleep(Duration::from_millis(600)).await;
    // Fifty times what they offer.
    exchange.anvil.base_fee(100_000_000_000).await;
    exchange.anvil.mine_every(1).await;
    let settled = submission.settles(4).await;
    assert_eq!(ids(&settled), (1..=4).collect::<Vec<_>>());
    exchange.agrees_with_the_chain().await;
    assert_eq!(submission.status.borrow().reverted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_endpoint_goes_away_the_next_one_is_asked() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(5).await;
    let (one, other) = (Proxy::to(exchange.anvil.port).await, Proxy::to(exchange.anvil.port).await);
    let both = format!("{}, {}", one.url, other.url);
    let mut submission = exchange.submit(&both, SubmitterConfig::default());
    submission.hand_in(&exchange.frames[..2]).await;
    submission.settles(2).await;
    one.cut(true);
    submission.hand_in(&exchange.frames[2..4]).await;
    submission.settles(2).await;
    one.cut(false);
    other.cut(true);
    submission.hand_in(&exchange.frames[4..]).await;
    submission.settles(2).await;
    exchange.agrees_with_the_chain().await;
    assert_eq!((submission.status.borrow().reverted, submission.status.borrow().reorganised), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbox_items_of_a_block_that_is_gone_are_taken_back() {
    let exchange = Exchange::open().await;
    let url = &exchange.anvil.url;
    let mut reader = InboxReader::new(url, &exchange.deployment, InboxConfig::default(), 0).unwrap();
    assert_eq!(items(reader.poll().await.unwrap()).len(), 4);
    let deposit = exchange.alice.fund(Some(AccountId(ALICE)), 5).await.unwrap();
    assert_eq!(items(reader.poll().await.unwrap())[0].index, 4);

    let depth = exchange.chain.block_number().await.unwrap() - deposit.block + 1;
    exchange.anvil.reorg(depth).await;
    let back = loop {
        // Until the endpoint has as many blocks again.
        if let Some(news) = reader.poll().await.unwrap().pop() {
            break news;
        }
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(back, InboxNews::TakenBack(4));
    assert_eq!(reader.poll().await.unwrap(), []);

    // What comes in its place counts.
    exchange.bob.fund(Some(AccountId(BOB)), 6).await.unwrap();
    let item = items(reader.poll().await.unwrap()).pop().unwrap();
    assert!(matches!(
        (item.index, item.payload),
        (4, InboxPayload::Deposit { account: AccountId(BOB), amount: 6, .. })
    ));

    // A reorganisation of blocks that hold nothing takes nothing back.
    exchange.anvil.mine(3).await;
    exchange.anvil.reorg(2).await;
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(reader.poll().await.unwrap(), []);
}
