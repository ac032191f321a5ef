// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IGateway} from "../group/IGateway.sol";
import {AccountId} from "../group/Types.sol";
import {GroupNumber, Venue, VenueNumber} from "../venue/VenueTypes.sol";
import {VenueRegistry} from "../venue/VenueRegistry.sol";
import {isDue} from "../xip/Deadlines.sol";
import {IComplianceRule} from "./IComplianceRule.sol";
import {RuleCall} from "./RuleCall.sol";

/// @title The registrar: members by a rule
/// @notice A venue that names this contract as its registrar has its members decided by the rule that its deployer chose:
///
/// 1. `join`: the rule is asked about the account's owner; whoever passes is a member until the rule's date, and no longer
///    than the venue's `term`;
/// 2. `revoke`: anyone may show that a member no longer passes, with the evidence that the member joined with;
/// 3. a membership that is not renewed ends by itself.
///
/// A membership is the right to take new risk in markets that are `restricted`. Deposits, withdrawals, cancellations, and
/// orders that only reduce ask nobody: no rule, and nothing here, is on the way out.
///
/// A venue's first rule counts at once. Another is announced and counts after a notice; a deployer in a hurry can only `shut`
/// the door. Members who joined under an earlier rule stay until their date, but have to pass the present one when somebody
/// has them revoked; they can join anew as soon as it counts.
contract Registrar {
    using SafeCast for uint256;

    /// @notice How short and how long a venue's memberships may be, in seconds.
    uint32 public constant MIN_TERM = 1 hours;
    uint32 public constant MAX_TERM = 366 days;
    /// @notice The most bytes of evidence.
    uint256 public constant MAX_EVIDENCE = 4096;
    /// @notice How many join and how many are revoked in a block, in one group: a batch must be able to consume what a
    /// block brought, whatever a rule says.
    uint256 public constant CHANGES_PER_BLOCK = 50;

    /// @param term How long a membership lasts at most, in seconds.
    /// @param edition How many rules the venue has had.
    /// @param shut Whether nobody joins for now.
    struct Door {
        IComplianceRule rule;
        uint32 term;
        uint32 edition;
        bool shut;
    }

    /// @param dueAt When it may take effect, unix seconds; 0 for nothing announced.
    struct Change {
        IComplianceRule rule;
        uint32 term;
        uint64 dueAt;
    }

    /// @param until The last second of the membership.
    /// @param edition Of the rule that it joined under.
    /// @param evidence Hash of what it joined with.
    struct Member {
        uint64 until;
        uint32 edition;
        bytes32 evidence;
    }

    /// @dev How many changes the block has seen.
    struct Load {
        uint64 blockNumber;
        uint64 joined;
        uint64 revoked;
    }

    VenueRegistry public immutable registry;
    /// @notice How long another rule is announced before it counts, in seconds.
    uint64 public immutable notice;

    mapping(VenueNumber => Door) private _doors;
    mapping(VenueNumber => Change) private _changes;
    mapping(VenueNumber => mapping(AccountId => Member)) private _members;
    mapping(GroupNumber => Load) private _loads;

    event RuleAnnounced(VenueNumber indexed venue, IComplianceRule rule, uint32 term, uint64 dueAt);
    event RuleSet(VenueNumber indexed venue, IComplianceRule indexed rule, uint32 term, uint32 edition);
    event Shut(VenueNumber indexed venue);
    event Reopened(VenueNumber indexed venue);
    /// @notice `evidence` is what `revoke` will need.
    event Joined(
        VenueNumber indexed venue, AccountId indexed account, address indexed trader, uint64 until, bytes evidence
    );
    event Revoked(VenueNumber indexed venue, AccountId indexed account, address by);

    error NotDeployer(VenueNumber venue, address caller, address deployer);
    error NoRule(VenueNumber venue);
    error NoSuchAccount(AccountId account);
    error ZeroAddress();
    error TermOutOfBounds(uint32 term, uint32 least, uint32 most);
    error NothingAnnounced(VenueNumber venue);
    error NoticeRuns(uint64 dueAt);
    error DoorShut(VenueNumber venue);
    error EvidenceTooLong(uint256 length, uint256 most);
    error DoesNotPass(VenueNumber venue, address trader);
    /// @notice The account is a member for long enough; it can renew from `renewable` on, with evidence that lasts longer.
    error MemberAlready(uint64 until, uint64 renewable);
    error NotMember(VenueNumber venue, AccountId account);
    error NotItsEvidence(VenueNumber venue, AccountId account);
    error StillPasses(VenueNumber venue, address trader, uint64 until);
    /// @notice This block's share of the group's inbox is used up; try again in the next.
    error Busy(uint256 blockNumber, uint256 limit);

    constructor(VenueRegistry registry_, uint64 notice_) {
        if (address(registry_) == address(0)) revert ZeroAddress();
        (registry, notice) = (registry_, notice_);
    }

    // ----------------------------------------------------------------- rules (the venue's deployer)

    /// @notice Chooses the venue's rule, or announces another. Announcing again replaces what was announced.
    /// @param term How long a membership lasts at most, in seconds.
    function setRule(VenueNumber number, IComplianceRule rule, uint32 term) external {
        _requireDeployer(number);
        if (address(rule) == address(0)) revert ZeroAddress();
        if (term < MIN_TERM || term > MAX_TERM) revert TermOutOfBounds(term, MIN_TERM, MAX_TERM);
        if (address(_doors[number].rule) == address(0)) return _setRule(number, rule, term);
        uint64 dueAt = block.timestamp.toUint64() + notice;
        _changes[number] = Change({rule: rule, term: term, dueAt: dueAt});
        emit RuleAnnounced(number, rule, term, dueAt);
    }

    /// @notice Makes the announced rule count once its notice is over. Anyone may. A door that was shut stays so.
    function applyRule(VenueNumber number) external {
        Change memory change = _changes[number];
        if (address(change.rule) == address(0)) revert NothingAnnounced(number);
        if (!isDue(change.dueAt)) revert NoticeRuns(change.dueAt);
        delete _changes[number];
        _setRule(number, change.rule, change.term);
    }

    function _setRule(VenueNumber number, IComplianceRule rule, uint32 term) private {
        Door storage door = _doors[number];
        (door.rule, door.term) = (rule, term);
        emit RuleSet(number, rule, term, ++door.edition);
    }

    /// @notice Lets nobody join or renew until `reopen`. Members stay members.
    function shut(VenueNumber number) external {
        _requireDeployer(number);
        _doors[number].shut = true;
        emit Shut(number);
    }

    function reopen(VenueNumber number) external {
        _requireDeployer(number);
        _doors[number].shut = false;
        emit Reopened(number);
    }

    function _requireDeployer(VenueNumber number) private view {
        address deployer = registry.venueOf(number).deployer;
        if (msg.sender != deployer) revert NotDeployer(number, msg.sender, deployer);
    }

    // ----------------------------------------------------------------- members (anyone)

    /// @notice Makes an account a member, or renews its membership when less than half of the term is left or the rule is
    /// another one than it joined under. Anyone may bring the evidence: it burdens the account with nothing.
    /// @return until The last second of the membership.
    function join(VenueNumber number, AccountId account, bytes calldata evidence) external returns (uint64 until) {
        Door memory door = _doorOf(number);
        if (door.shut) revert DoorShut(number);
        (Venue memory venue, IGateway gateway) = _placeOf(number);
        address trader = _ownerOf(gateway, account);
        until = _ask(door, trader, evidence);
        // No time is what a no is made of.
        // slither-disable-next-line incorrect-equality
        if (until == 0) revert DoesNotPass(number, trader);

        Member storage member = _members[number][account];
        // A count, not a balance.
        // slither-disable-next-line incorrect-equality
        if (member.edition == door.edition) _requireRenewable(member.until, until, door.term);
        Load memory load = _loadOfThisBlock(venue.group);
        if (++load.joined > CHANGES_PER_BLOCK) revert Busy(block.number, CHANGES_PER_BLOCK);
        _loads[venue.group] = load;

        (member.until, member.edition, member.evidence) = (until, door.edition, keccak256(evidence));
        emit Joined(number, account, trader, until, evidence);
        // The group counts in milliseconds.
        gateway.setMembership(account, venue.id, until * 1000);
    }

    /// @notice Ends the membership of an account whose owner no longer passes.
    /// @param evidence What it joined with, as `Joined` says: or anybody could have a member fail by showing nothing.
    function revoke(VenueNumber number, AccountId account, bytes calldata evidence) external {
        Member memory member = memberOf(number, account);
        if (member.until == 0 || isDue(member.until)) revert NotMember(number, account);
        if (keccak256(evidence) != member.evidence) revert NotItsEvidence(number, account);
        (Venue memory venue, IGateway gateway) = _placeOf(number);
        address trader = _ownerOf(gateway, account);
        uint64 until = _ask(_doorOf(number), trader, evidence);
        if (until != 0) revert StillPasses(number, trader, until);

        Load memory load = _loadOfThisBlock(venue.group);
        if (++load.revoked > CHANGES_PER_BLOCK) revert Busy(block.number, CHANGES_PER_BLOCK);
        _loads[venue.group] = load;

        delete _members[number][account];
        emit Revoked(number, account, msg.sender);
        gateway.setMembership(account, venue.id, 0);
    }

    /// @dev A renewal must be worth its place in the inbox.
    function _requireRenewable(uint64 before, uint64 until, uint32 term) private view {
        uint64 renewable = before < term / 2 ? 0 : before - term / 2;
        if (until <= before || !isDue(renewable)) revert MemberAlready(before, renewable);
    }

    /// @dev Until when a membership of now would last; 0 if the rule says no, or nothing that is an answer.
    function _ask(Door memory door, address trader, bytes calldata evidence) private view returns (uint64 until) {
        if (evidence.length > MAX_EVIDENCE) revert EvidenceTooLong(evidence.length, MAX_EVIDENCE);
        until = RuleCall.ask(door.rule, trader, evidence, RuleCall.GAS);
        if (isDue(until)) return 0;
        uint64 most = block.timestamp.toUint64() + door.term;
        if (until > most) until = most;
    }

    // ----------------------------------------------------------------- views

    /// @notice Until when `account` would be a member if it joined now; 0 if it does not pass. Joining asks again.
    function look(VenueNumber number, AccountId account, bytes calldata evidence) external view returns (uint64 until) {
        (, IGateway gateway) = _placeOf(number);
        return _ask(_doorOf(number), _ownerOf(gateway, account), evidence);
    }

    function doorOf(VenueNumber number) external view returns (Door memory) {
        return _doors[number];
    }

    function changeOf(VenueNumber number) external view returns (Change memory) {
        return _changes[number];
    }

    function memberOf(VenueNumber number, AccountId account) public view returns (Member memory) {
        return _members[number][account];
    }

    // ----------------------------------------------------------------- small rules

    function _doorOf(VenueNumber number) private view returns (Door memory door) {
        door = _doors[number];
        if (address(door.rule) == address(0)) revert NoRule(number);
    }

    function _placeOf(VenueNumber number) private view returns (Venue memory venue, IGateway gateway) {
        venue = registry.venueOf(number);
        gateway = IGateway(registry.groupOf(venue.group).gateway);
    }

    function _ownerOf(IGateway gateway, AccountId account) private view returns (address owner) {
        owner = gateway.ownerOf(account);
        if (owner == address(0)) revert NoSuchAccount(account);
    }

    function _loadOfThisBlock(GroupNumber group) private view returns (Load memory load) {
        load = _loads[group];
        if (load.blockNumber != block.number) load = Load(block.number.toUint64(), 0, 0);
    }
}
