// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {MarketKind} from "../group/Types.sol";
import {isDue} from "../xip/Deadlines.sol";
import {Governed} from "../xip/Governed.sol";
import {Slots} from "./Slots.sol";
import {VenueNumber} from "./VenueTypes.sol";

/// @title The Slot Auction: one slot after the other, for each kind
/// @notice The price falls until somebody takes it. That is not yet the end: for `CONTEST` after the last bid anybody may
/// bid `STEP` more, so being quick, or being last, wins nothing that a higher bid would not. Then the slot is the highest
/// bidder's venue's, the proceeds are the treasury's, and the next auction begins at a multiple of that price.
///
/// Bids are in wrapped OKB. Who is outbid takes his bid back by `refund`.
contract SlotAuction is Governed {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice How long a bid stands before it wins.
    uint64 public constant CONTEST = 15 minutes;
    /// @notice How much more the next bid is, parts per million.
    uint256 public constant STEP = 50_000;
    uint256 private constant PPM = 1_000_000;

    /// @notice How auctions of a kind run.
    /// @param floor The lowest price, in wei; also where the first auction of a kind would end.
    /// @param fall How long the price falls from its start to the floor, in seconds.
    /// @param multiple What the next auction starts at, parts per million of the last price.
    /// @param first What the first auction starts at.
    struct Terms {
        uint96 floor;
        uint96 first;
        uint32 fall;
        uint32 multiple;
    }

    /// @param number Its number among those of its kind, from 1.
    /// @param start Price at which it began.
    /// @param floor,fall As the terms were when it began.
    /// @param highest The highest bid so far; 0 while the price falls.
    /// @param ends When the highest bid wins.
    struct Auction {
        uint64 number;
        uint64 began;
        uint64 ends;
        uint32 fall;
        VenueNumber venue;
        uint96 start;
        uint96 floor;
        uint96 highest;
        address bidder;
    }

    IERC20 public immutable okb;
    Slots public immutable slots;
    /// @notice Where proceeds go, as a XIP has set it.
    address public treasury;
    mapping(MarketKind => Terms) private _terms;
    mapping(MarketKind => Auction) private _auctions;
    mapping(address bidder => uint256) public refundable;
    /// @notice All that bidders may still take back, and all that stands as a bid.
    uint256 public held;

    event AuctionBegan(MarketKind indexed kind, uint64 indexed number, uint96 start, uint96 floor);
    event Bid(MarketKind indexed kind, uint64 indexed number, VenueNumber indexed venue, address bidder, uint96 amount);
    event SlotSold(MarketKind indexed kind, uint64 indexed number, VenueNumber indexed venue, uint96 price);
    event TermsSet(MarketKind indexed kind, Terms terms);
    event TreasurySet(address indexed treasury);
    event Refunded(address indexed bidder, uint256 amount);

    error InvalidTerms(bytes32 field);
    error WrongAuction(uint64 current, uint64 asked);
    error BidTooLow(uint256 least, uint256 offered);
    error NotDeployer(VenueNumber venue, address caller, address deployer);
    error ContestOver(uint64 ended);
    error ContestRuns(uint64 ends);
    error NothingToRefund(address bidder);

    constructor(IERC20 okb_, Slots slots_, address treasury_, address governance_, Terms memory terms_)
        Governed(governance_)
    {
        (okb, slots) = (okb_, slots_);
        _setTreasury(treasury_);
        for (uint8 kind = 0; kind <= uint8(type(MarketKind).max); ++kind) {
            _setTerms(MarketKind(kind), terms_);
            _begin(MarketKind(kind), 1, terms_.first);
        }
    }

    // ----------------------------------------------------------------- bidding

    /// @notice Bids for the slot that is on sale, on behalf of the caller's open venue. The first bid pays the price of the
    /// moment, `offered` is the most that it may be; a later one pays what it offers.
    /// @param number The auction that is meant: a bid that comes late is none in the next.
    function bid(MarketKind kind, uint64 number, VenueNumber venue, uint96 offered) external returns (uint96 amount) {
        Auction storage auction = _auctions[kind];
        if (auction.number != number) revert WrongAuction(auction.number, number);
        Slots.Venue memory bidding = slots.venueOf(venue);
        if (!bidding.open) revert Slots.VenueNotOpen(venue);
        if (msg.sender != bidding.deployer) revert NotDeployer(venue, msg.sender, bidding.deployer);
        if (auction.highest != 0 && isDue(auction.ends)) revert ContestOver(auction.ends);
        uint256 least = price(kind);
        if (offered < least) revert BidTooLow(least, offered);

        amount = auction.highest == 0 ? least.toUint96() : offered;
        refundable[auction.bidder] += auction.highest;
        held += amount;
        (auction.highest, auction.bidder, auction.venue) = (amount, msg.sender, venue);
        auction.ends = block.timestamp.toUint64() + CONTEST;
        emit Bid(kind, number, venue, msg.sender, amount);
        okb.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Gives the slot to the highest bid once its contest is over, and begins the next auction. Anyone may call it.
    function settle(MarketKind kind) external {
        Auction memory sold = _auctions[kind];
        // slither-disable-next-line incorrect-equality
        if (sold.highest == 0) revert BidTooLow(price(kind), 0);
        if (!isDue(sold.ends)) revert ContestRuns(sold.ends);
        held -= sold.highest;
        uint256 next = Math.min(uint256(sold.highest) * _terms[kind].multiple / PPM, type(uint96).max);
        _begin(kind, sold.number + 1, next.toUint96());
        emit SlotSold(kind, sold.number, sold.venue, sold.highest);
        slots.grant(sold.venue, kind);
        okb.safeTransfer(treasury, sold.highest);
    }

    /// @notice Pays the caller what others have outbid.
    function refund() external {
        uint256 amount = refundable[msg.sender];
        if (amount == 0) revert NothingToRefund(msg.sender);
        refundable[msg.sender] = 0;
        held -= amount;
        emit Refunded(msg.sender, amount);
        okb.safeTransfer(msg.sender, amount);
    }

    function _begin(MarketKind kind, uint64 number, uint96 start) private {
        Terms memory terms_ = _terms[kind];
        if (start < terms_.floor) start = terms_.floor;
        // slither-disable-next-line costly-loop
        _auctions[kind] = Auction({
            number: number,
            began: block.timestamp.toUint64(),
            ends: 0,
            fall: terms_.fall,
            venue: VenueNumber.wrap(0),
            start: start,
            floor: terms_.floor,
            highest: 0,
            bidder: address(0)
        });
        emit AuctionBegan(kind, number, start, terms_.floor);
    }

    // ----------------------------------------------------------------- terms (governance only)

    /// @notice Sets how auctions of a kind run from the next one on.
    function setTerms(MarketKind kind, Terms calldata terms_) external onlyGovernance {
        _setTerms(kind, terms_);
    }

    function setTreasury(address treasury_) external onlyGovernance {
        _setTreasury(treasury_);
    }

    function _setTerms(MarketKind kind, Terms memory terms_) private {
        // A bid of nothing would look like none.
        if (terms_.floor == 0) revert InvalidTerms("floor");
        if (terms_.fall == 0) revert InvalidTerms("fall");
        if (terms_.multiple < PPM) revert InvalidTerms("multiple");
        _terms[kind] = terms_;
        emit TermsSet(kind, terms_);
    }

    function _setTreasury(address treasury_) private {
        if (treasury_ == address(0)) revert InvalidTerms("treasury");
        treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    // ----------------------------------------------------------------- views

    /// @notice What the next bid must offer at least; rounded up, in favour of the treasury.
    function price(MarketKind kind) public view returns (uint256) {
        Auction memory auction = _auctions[kind];
        if (auction.highest != 0) return Math.mulDiv(auction.highest, PPM + STEP, PPM, Math.Rounding.Ceil);
        uint256 elapsed = block.timestamp - auction.began;
        if (elapsed >= auction.fall) return auction.floor;
        return auction.start - uint256(auction.start - auction.floor) * elapsed / auction.fall;
    }

    function terms(MarketKind kind) external view returns (Terms memory) {
        return _terms[kind];
    }

    function auctionOf(MarketKind kind) external view returns (Auction memory) {
        return _auctions[kind];
    }
}
