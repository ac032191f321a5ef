//! What clients and nodes send each other.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xos_api::{
    AccountMessage, AmendRequest, BboMessage, Before, BookCopy, BookMessage, CancelAfterRequest, CancelAllRequest,
    CancelManyRequest, CancelRequest, CandlesMessage, ConvertRequest, EntryAnswer, EntryRequest, FundingMessage,
    Interval, LiquidateRequest, LoginRequest, MarketsMessage, OrderRequest, OrdersCopy, OrdersMessage, PlanRequest,
    PricesMessage, ReplaceRequest, Sequence, TradesMessage, TransferRequest, TreeRequest, WithdrawRequest, tag_of,
};
use xos_types::{AccountId, Side};

/// Entries of a request that a node takes.
const ENTRIES_MAX: usize = 200;

/// A binary request is what it is encoded as, and nothing else; an error has a field and says what may stand there.
pub(crate) fn entry_request(bytes: &[u8]) {
    match EntryRequest::decode(bytes, ENTRIES_MAX) {
        Ok(request) => {
            assert_eq!(request.encode(), bytes);
            assert_eq!(request.tag, tag_of(bytes));
        }
        Err(error) => assert!(!error.field.is_empty() && !error.expected.is_empty(), "{error}"),
    }
}

/// A binary answer is what it is encoded as.
pub(crate) fn entry_answer(bytes: &[u8]) {
    if let Ok(answer) = EntryAnswer::decode(bytes) {
        let again = EntryAnswer::decode(&answer.encode()).expect("what was encoded is decoded");
        assert_eq!(again, answer);
    }
}

/// What was read of JSON is written so that it is read as the same.
fn reads<T: DeserializeOwned + Serialize + PartialEq>(json: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&read).expect("plain data becomes JSON");
    assert!(
        serde_json::from_slice::<T>(&written).is_ok_and(|again| again == read),
        "{}",
        String::from_utf8_lossy(json)
    );
    Some(read)
}

/// A parameter of a call or of a subscription.
pub(crate) fn request_json(json: &[u8]) {
    reads::<OrderRequest>(json);
    reads::<CancelRequest>(json);
    reads::<CancelAllRequest>(json);
    reads::<PlanRequest>(json);
    reads::<ReplaceRequest>(json);
    reads::<AmendRequest>(json);
    reads::<CancelManyRequest>(json);
    reads::<CancelAfterRequest>(json);
    reads::<LoginRequest>(json);
    reads::<WithdrawRequest>(json);
    reads::<TransferRequest>(json);
    reads::<LiquidateRequest>(json);
    reads::<ConvertRequest>(json);
    reads::<TreeRequest>(json);
    reads::<AccountId>(json);
    reads::<Sequence>(json);
    reads::<Before>(json);
    reads::<Interval>(json);
}

/// Messages of feeds, a line each, as a reader takes them: its copies of books stand whatever it is told.
pub(crate) fn feed_json(lines: &[u8]) {
    let (mut book, mut orders) = (BookCopy::default(), OrdersCopy::default());
    for json in lines.split(|byte| *byte == b'\n') {
        if let Some(message) = reads::<BookMessage>(json)
            && book.apply(&message).is_ok()
        {
            assert_eq!(book.sequence(), Some(message.sequence));
            assert!(book.bids().all(|level| level.orders > 0) && book.asks().is_sorted_by_key(|level| level.price));
        }
        if let Some(message) = reads::<OrdersMessage>(json)
            && orders.apply(&message).is_ok()
        {
            let levels = orders.levels(Side::Buy);
            assert!(levels.iter().all(|level| level.orders > 0));
            assert!(levels.is_sorted_by(|one, next| one.price > next.price));
        }
        reads::<BboMessage>(json);
        reads::<TradesMessage>(json);
        reads::<CandlesMessage>(json);
        reads::<PricesMessage>(json);
        reads::<FundingMessage>(json);
        reads::<AccountMessage>(json);
        reads::<MarketsMessage>(json);
    }
}
