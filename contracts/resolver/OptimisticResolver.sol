// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "../group/IGateway.sol";
import {IGroupViews} from "../group/IGroupViews.sol";
import {IRiskGroup} from "../group/IRiskGroup.sol";
import {EventId, MarketId, firstMarket} from "../group/Types.sol";
import {isDue} from "../xip/Deadlines.sol";
import {Payouts} from "./Payouts.sol";

/// @title The optimistic resolver: what nobody disputes is true
/// @notice An event that names this contract as its resolver is decided so:
///
/// 1. anyone **claims** what each outcome pays, with a bond and the hash of the evidence;
/// 2. for `window` anyone may claim something else, with twice the bond, and the window begins anew;
/// 3. a claim that stood for its window is final (`finalize`, by anyone);
/// 4. the third claim goes to the arbiter, who rules (`rule`); without a ruling within `patience` the event is void, and
///    pays its outcomes alike (`void`, by anyone).
///
/// Whoever claimed what became final gets its bond back; of the bonds of the others half is the last such claimant's, half
/// the treasury's. A void returns them all. Bonds are in the group's settlement token and grow with what is open in the event,
/// as far as its markets count that (those with a cap).
contract OptimisticResolver is ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    uint256 public constant MAX_CLAIMS = 3;
    uint256 private constant PPM = 1_000_000;

    /// @param payouts Hash of what it says each outcome pays.
    struct Claim {
        address claimant;
        uint96 bond;
        bytes32 payouts;
    }

    /// @param closes When the last claim's window, or the arbiter's time, is over; unix seconds.
    struct Question {
        uint64 closes;
        bool decided;
        Claim[] claims;
    }

    /// @notice Who decides between three claims.
    address public immutable arbiter;
    address public immutable treasury;
    uint64 public immutable window;
    uint64 public immutable patience;
    /// @notice The least bond, in atoms of the settlement token.
    uint96 public immutable leastBond;
    /// @notice The bond as a share of what is open in the event, parts per million.
    uint24 public immutable bondShare;

    mapping(address gateway => mapping(EventId => Question)) private _questions;
    mapping(IERC20 token => mapping(address claimant => uint256)) public owed;

    event Claimed(
        address indexed gateway,
        EventId indexed eventId,
        address indexed claimant,
        uint64[] payouts,
        uint96 bond,
        bytes32 evidence,
        uint64 closes
    );
    event Decided(address indexed gateway, EventId indexed eventId, uint64[] payouts);
    event Withdrawn(IERC20 indexed token, address indexed claimant, uint256 amount);

    error NotArbiter(address caller, address arbiter);
    error NotOurs(address gateway, EventId eventId);
    error NotSettledYet(address gateway, EventId eventId);
    error InvalidPayouts(uint256 outcomes, uint256 ticks);
    error AlreadyDecided(address gateway, EventId eventId);
    error NothingClaimed(address gateway, EventId eventId);
    error WindowOver(uint64 closed);
    error WindowOpen(uint64 closes);
    error SameClaim();
    error WithArbiter(address gateway, EventId eventId);
    error NotWithArbiter(address gateway, EventId eventId);
    error NotTheLastClaim();
    error BondNotReceived(uint256 expected, uint256 received);
    error NothingOwed(address claimant);
    error ZeroAddress();

    constructor(
        address arbiter_,
        address treasury_,
        uint64 window_,
        uint64 patience_,
        uint96 leastBond_,
        uint24 bondShare_
    ) {
        if (arbiter_ == address(0) || treasury_ == address(0)) revert ZeroAddress();
        (arbiter, treasury, window, patience) = (arbiter_, treasury_, window_, patience_);
        (leastBond, bondShare) = (leastBond_, bondShare_);
    }

    // ----------------------------------------------------------------- claims

    /// @notice Claims what each outcome of an event pays, in ticks per lot, or something else than was claimed last.
    function claim(IGateway gateway, EventId id, uint64[] calldata payouts, bytes32 evidence) external nonReentrant {
        Question storage question = _undecided(gateway, id);
        _check(gateway, id, payouts);
        uint256 made = question.claims.length;
        if (made == MAX_CLAIMS) revert WithArbiter(address(gateway), id);
        bytes32 hash = keccak256(abi.encode(payouts));
        uint96 bond = bondOf(gateway, id);
        if (made != 0) {
            if (isDue(question.closes)) revert WindowOver(question.closes);
            if (question.claims[made - 1].payouts == hash) revert SameClaim();
        }
        question.claims.push(Claim({claimant: msg.sender, bond: bond, payouts: hash}));
        bool last = made + 1 == MAX_CLAIMS;
        question.closes = block.timestamp.toUint64() + (last ? patience : window);
        emit Claimed(address(gateway), id, msg.sender, payouts, bond, evidence, question.closes);
        _pull(_tokenOf(gateway), bond);
    }

    /// @notice What the next claim on an event has to put down: twice the last one's, or what is asked of the first.
    function bondOf(IGateway gateway, EventId id) public view returns (uint96) {
        Claim[] storage claims = _questions[address(gateway)][id].claims;
        if (claims.length != 0) return claims[claims.length - 1].bond * 2;
        IGroupViews views = IGroupViews(gateway.group());
        MarketId first = firstMarket(id);
        IGroupViews.MarketView memory market = views.market(first);
        uint256 open;
        for (uint8 outcome = 0; outcome < market.outcomes; ++outcome) {
            // A listing's markets are numbered one after the other; the group is the event's own.
            // slither-disable-next-line calls-loop
            open += views.market(MarketId.wrap(MarketId.unwrap(first) + outcome)).openInterest;
        }
        uint256 value = open * market.ticks * market.quantum;
        // Rounded up, in favour of whoever is right.
        return Math.max(leastBond, Math.mulDiv(value, bondShare, PPM, Math.Rounding.Ceil)).toUint96();
    }

    // ----------------------------------------------------------------- decisions

    /// @notice Makes the last claim final once its window is over.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function finalize(IGateway gateway, EventId id, uint64[] calldata payouts) external nonReentrant {
        Question storage question = _undecided(gateway, id);
        uint256 made = question.claims.length;
        if (made == 0) revert NothingClaimed(address(gateway), id);
        if (made == MAX_CLAIMS) revert WithArbiter(address(gateway), id);
        if (!isDue(question.closes)) revert WindowOpen(question.closes);
        if (question.claims[made - 1].payouts != keccak256(abi.encode(payouts))) revert NotTheLastClaim();
        _decide(gateway, id, payouts);
        _share(question, _tokenOf(gateway), keccak256(abi.encode(payouts)));
    }

    /// @notice Decides between three claims, for one of them or for something else. The arbiter only.
    // Locked.
    // slither-disable-next-line reentrancy-benign
    function rule(IGateway gateway, EventId id, uint64[] calldata payouts) external nonReentrant {
        if (msg.sender != arbiter) revert NotArbiter(msg.sender, arbiter);
        Question storage question = _undecided(gateway, id);
        if (question.claims.length != MAX_CLAIMS) revert NotWithArbiter(address(gateway), id);
        _check(gateway, id, payouts);
        _decide(gateway, id, payouts);
        _share(question, _tokenOf(gateway), keccak256(abi.encode(payouts)));
    }

    /// @notice Ends what the arbiter has not decided in time: all outcomes pay alike, all bonds return.
    function void(IGateway gateway, EventId id) external nonReentrant {
        Question storage question = _undecided(gateway, id);
        if (question.claims.length != MAX_CLAIMS) revert NotWithArbiter(address(gateway), id);
        if (!isDue(question.closes)) revert WindowOpen(question.closes);
        uint64[] memory payouts = Payouts.alike(gateway, id);
        IERC20 token = _tokenOf(gateway);
        for (uint256 i = 0; i < MAX_CLAIMS; ++i) {
            owed[token][question.claims[i].claimant] += question.claims[i].bond;
        }
        _decide(gateway, id, payouts);
    }

    function _decide(IGateway gateway, EventId id, uint64[] memory payouts) private {
        _questions[address(gateway)][id].decided = true;
        emit Decided(address(gateway), id, payouts);
        gateway.resolveEvent(id, payouts);
    }

    /// @dev Whoever was right gets its bond; of the others' half goes to the last who was right, rounded down, and the rest
    /// to the treasury, which gets all if nobody was.
    function _share(Question storage question, IERC20 token, bytes32 truth) private {
        uint256 lost;
        address last;
        for (uint256 i = 0; i < question.claims.length; ++i) {
            Claim memory made = question.claims[i];
            if (made.payouts == truth) {
                last = made.claimant;
                owed[token][last] += made.bond;
            } else {
                lost += made.bond;
            }
        }
        uint256 reward = last == address(0) ? 0 : lost / 2;
        owed[token][last] += reward;
        owed[token][treasury] += lost - reward;
    }

    /// @notice Pays the caller what claims have brought it.
    function withdraw(IERC20 token) external nonReentrant returns (uint256 amount) {
        amount = owed[token][msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[token][msg.sender] = 0;
        emit Withdrawn(token, msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    // ----------------------------------------------------------------- views and small rules

    function questionOf(IGateway gateway, EventId id) external view returns (Question memory) {
        return _questions[address(gateway)][id];
    }

    function _undecided(IGateway gateway, EventId id) private view returns (Question storage question) {
        question = _questions[address(gateway)][id];
        if (question.decided) revert AlreadyDecided(address(gateway), id);
    }

    /// @dev What is claimed or ruled must be what the gateway will take, or the event could never be resolved.
    function _check(IGateway gateway, EventId id, uint64[] calldata payouts) private view {
        if (gateway.resolverOf(id) != address(this)) revert NotOurs(address(gateway), id);
        IGroupViews.MarketView memory market = IGroupViews(gateway.group()).market(firstMarket(id));
        if (market.outcomes == 0) revert NotSettledYet(address(gateway), id);
        uint256 sum;
        for (uint256 outcome = 0; outcome < payouts.length; ++outcome) {
            sum += payouts[outcome];
        }
        if (payouts.length != market.outcomes || sum != market.ticks) {
            revert InvalidPayouts(market.outcomes, market.ticks);
        }
    }

    function _tokenOf(IGateway gateway) private view returns (IERC20) {
        return IERC20(IRiskGroup(gateway.group()).settlementToken());
    }

    /// @dev Exactly the bond, or one event's claims would pay another's.
    function _pull(IERC20 token, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert BondNotReceived(amount, received);
    }
}
