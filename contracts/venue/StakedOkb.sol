// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {isDue} from "../xip/Deadlines.sol";
import {Governed} from "../xip/Governed.sol";
import {IStakeLock} from "./IStakeLock.sol";

/// @title Staked OKB: what a deployer answers with, and what votes on XIPs
/// @notice Wrapped OKB goes in, one vote a wei comes out: delegated as in ERC-20 votes, counted by time, and not
/// transferable. Who asks for stake back loses its votes at once and waits for the cooldown, in which the stake can still be
/// slashed; so nobody can borrow a vote, and nobody can run from what he did.
///
/// A slash needs a rule that was public when the deed was done, stays below that rule's ceiling, names the hash of its
/// evidence, which serves once, and is decided by governance. Rules are added and retired, never changed.
contract StakedOkb is ERC20Votes, Governed {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice The shortest cooldown is longer than it takes to vote on a slash and to carry it out.
    uint64 public constant MIN_COOLDOWN = 14 days;
    uint64 public constant MAX_COOLDOWN = 180 days;
    uint256 private constant PPM = 1_000_000;

    /// @notice Stake on its way out.
    /// @param releasable When it may leave, unix seconds.
    struct Cooling {
        uint128 amount;
        uint64 releasable;
    }

    /// @param ceiling Most of a stake that one slash under this rule may take, parts per million.
    /// @param since When it became a rule, unix seconds.
    /// @param until When it was retired; 0 while it holds.
    /// @param text Hash of its published text.
    struct Rule {
        uint24 ceiling;
        uint64 since;
        uint64 until;
        bytes32 text;
    }

    /// @param committedAt When the deed was done, unix seconds.
    struct Slash {
        address account;
        uint32 rule;
        uint64 committedAt;
        uint64 time;
        uint128 amount;
        bytes32 evidence;
    }

    IERC20 public immutable okb;
    /// @notice Who knows what open venues need.
    IStakeLock public immutable lock;

    uint64 public cooldown;
    mapping(address account => Cooling) private _cooling;
    /// @notice All stake on its way out.
    uint256 public totalCooling;
    Rule[] private _rules;
    Slash[] private _slashes;
    mapping(address account => mapping(bytes32 evidence => bool)) private _judged;

    event Staked(address indexed account, uint256 amount);
    event CooldownBegun(address indexed account, uint256 amount, uint64 releasable);
    event Restaked(address indexed account, uint256 amount);
    event Released(address indexed account, uint256 amount);
    event RulePublished(uint32 indexed rule, uint24 ceiling, bytes32 text);
    event RuleRetired(uint32 indexed rule);
    event Slashed(
        uint256 indexed number,
        address indexed account,
        uint32 indexed rule,
        uint256 amount,
        bytes32 evidence,
        address to
    );
    event CooldownSet(uint64 cooldown);

    error NotTransferable();
    error ZeroAmount();
    error StakeLocked(uint256 staked, uint256 locked, uint256 asked);
    error StillCooling(uint64 releasable);
    error NothingCooling(address account);
    error CooldownOutOfRange(uint64 cooldown, uint64 least, uint64 most);
    error NoSuchRule(uint32 rule);
    error RuleNotInForce(uint32 rule, uint64 committedAt);
    error DeedInTheFuture(uint64 committedAt);
    error CeilingTooHigh(uint24 ceiling);
    error AboveCeiling(uint256 amount, uint256 ceiling);
    error EvidenceMissing();
    error AlreadyJudged(address account, bytes32 evidence);

    /// @param okb_ Wrapped OKB.
    constructor(IERC20 okb_, IStakeLock lock_, address governance_, uint64 cooldown_)
        ERC20("Staked OKB", "stOKB")
        EIP712("Staked OKB", "1")
        Governed(governance_)
    {
        // slither-disable-next-line missing-zero-check
        (okb, lock) = (okb_, lock_);
        _setCooldown(cooldown_);
    }

    // ----------------------------------------------------------------- staking

    /// @notice Stakes wrapped OKB. A first stake votes for its owner; `delegate` gives the votes to someone else.
    function stake(uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        if (delegates(msg.sender) == address(0)) _delegate(msg.sender, msg.sender);
        _mint(msg.sender, amount);
        emit Staked(msg.sender, amount);
        okb.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Asks for stake back. Its votes end now, the cooldown begins now, anew also for what was cooling already.
    /// What the caller's open venues need stays.
    function unstake(uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        uint256 staked = balanceOf(msg.sender);
        uint256 locked = lock.lockedStake(msg.sender);
        if (locked + amount > staked) revert StakeLocked(staked, locked, amount);
        _burn(msg.sender, amount);
        Cooling storage cooling = _cooling[msg.sender];
        uint64 releasable = block.timestamp.toUint64() + cooldown;
        cooling.amount += amount.toUint128();
        // A cooldown that governance has made shorter does not let out earlier what is cooling already.
        if (cooling.releasable < releasable) cooling.releasable = releasable;
        totalCooling += amount;
        emit CooldownBegun(msg.sender, amount, cooling.releasable);
    }

    /// @notice Stakes again all that is cooling.
    function restake() external {
        uint256 amount = _takeCooling();
        _mint(msg.sender, amount);
        emit Restaked(msg.sender, amount);
    }

    /// @notice Pays out all that has cooled down.
    function release() external {
        uint64 releasable = _cooling[msg.sender].releasable;
        if (!isDue(releasable)) revert StillCooling(releasable);
        uint256 amount = _takeCooling();
        emit Released(msg.sender, amount);
        okb.safeTransfer(msg.sender, amount);
    }

    function _takeCooling() private returns (uint256 amount) {
        amount = _cooling[msg.sender].amount;
        // slither-disable-next-line incorrect-equality
        if (amount == 0) revert NothingCooling(msg.sender);
        delete _cooling[msg.sender];
        totalCooling -= amount;
    }

    // ----------------------------------------------------------------- slashing (governance only)

    /// @notice Publishes a rule: deeds from now on may cost up to its ceiling.
    function publishRule(uint24 ceiling, bytes32 text) external onlyGovernance returns (uint32 rule) {
        if (ceiling > PPM) revert CeilingTooHigh(ceiling);
        rule = _rules.length.toUint32();
        _rules.push(Rule({ceiling: ceiling, since: block.timestamp.toUint64(), until: 0, text: text}));
        emit RulePublished(rule, ceiling, text);
    }

    /// @notice Ends a rule: later deeds are not measured by it.
    function retireRule(uint32 rule) external onlyGovernance {
        _requireRule(rule);
        if (_rules[rule].until != 0) revert RuleNotInForce(rule, block.timestamp.toUint64());
        _rules[rule].until = block.timestamp.toUint64();
        emit RuleRetired(rule);
    }

    /// @notice Takes stake from who broke a rule: first what is cooling, then what is staked.
    /// @param evidence Hash of the evidence, which is part of the XIP; it serves once against an account.
    /// @param to Who receives what is taken.
    function slash(address account, uint32 ruleNumber, uint128 amount, uint64 committedAt, bytes32 evidence, address to)
        external
        onlyGovernance
        returns (uint256 number)
    {
        if (amount == 0) revert ZeroAmount();
        if (evidence == 0) revert EvidenceMissing();
        if (_judged[account][evidence]) revert AlreadyJudged(account, evidence);
        _requireRule(ruleNumber);
        Rule memory rule = _rules[ruleNumber];
        if (!isDue(committedAt)) revert DeedInTheFuture(committedAt);
        if (committedAt < rule.since || (rule.until != 0 && committedAt >= rule.until)) {
            revert RuleNotInForce(ruleNumber, committedAt);
        }
        Cooling storage cooling = _cooling[account];
        // Rounded down, for the one who is judged.
        uint256 most = (balanceOf(account) + cooling.amount) * rule.ceiling / PPM;
        if (amount > most) revert AboveCeiling(amount, most);

        _judged[account][evidence] = true;
        uint128 cooled = amount < cooling.amount ? amount : cooling.amount;
        cooling.amount -= cooled;
        totalCooling -= cooled;
        if (amount > cooled) _burn(account, amount - cooled);
        number = _slashes.length;
        _slashes.push(Slash(account, ruleNumber, committedAt, block.timestamp.toUint64(), amount, evidence));
        emit Slashed(number, account, ruleNumber, amount, evidence, to);
        okb.safeTransfer(to, amount);
    }

    /// @notice Sets how long stake cools from the next request on.
    function setCooldown(uint64 cooldown_) external onlyGovernance {
        _setCooldown(cooldown_);
    }

    function _setCooldown(uint64 cooldown_) private {
        if (cooldown_ < MIN_COOLDOWN || cooldown_ > MAX_COOLDOWN) {
            revert CooldownOutOfRange(cooldown_, MIN_COOLDOWN, MAX_COOLDOWN);
        }
        cooldown = cooldown_;
        emit CooldownSet(cooldown_);
    }

    // ----------------------------------------------------------------- views

    function coolingOf(address account) external view returns (Cooling memory) {
        return _cooling[account];
    }

    function rules() external view returns (uint256) {
        return _rules.length;
    }

    function ruleAt(uint32 rule) external view returns (Rule memory) {
        _requireRule(rule);
        return _rules[rule];
    }

    function slashes() external view returns (uint256) {
        return _slashes.length;
    }

    function slashAt(uint256 number) external view returns (Slash memory) {
        return _slashes[number];
    }

    /// @notice Votes are counted by time, in unix seconds.
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    // The name is the standard's.
    // slither-disable-start naming-convention
    // forge-lint: disable-next-line(mixed-case-function)
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }
    // slither-disable-end naming-convention

    // ----------------------------------------------------------------- small rules

    function _update(address from, address to, uint256 value) internal override {
        if (from != address(0) && to != address(0)) revert NotTransferable();
        super._update(from, to, value);
    }

    function _requireRule(uint32 rule) private view {
        if (rule >= _rules.length) revert NoSuchRule(rule);
    }
}
