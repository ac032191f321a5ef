// Writes the tournament's facts in our own form, from a checkout of openfootball/worldcup.json (see README.md):
//
//     node worldcup/make-facts.mjs <folder with worldcup.json, worldcup.teams.json, worldcup.groups.json, worldcup.stadiums.json>
//
// It checks what it reads (scores against goals, teams against groups) and fails rather than write a doubtful fact.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const source = process.argv[2];
if (!source) {
  console.error("usage: node worldcup/make-facts.mjs <data folder>");
  process.exit(2);
}
const read = (name) => JSON.parse(readFileSync(join(source, name), "utf8"));
const check = (truth, what) => {
  if (!truth) throw new Error(`the source contradicts itself: ${what}`);
};

const STAGES = { "Match for third place": "Third place" };
const GROUP_STAGE = "Group";

// ---------------------------------------------------------------- teams

const groups = read("worldcup.groups.json").groups.map(({ name, teams }) => ({ letter: name.replace("Group ", ""), teams }));
const details = new Map(read("worldcup.teams.json").map((team) => [team.name, team]));
const teams = groups.flatMap(({ letter, teams }) =>
  teams.map((name) => {
    const { fifa_code: code, confed, group } = details.get(name);
    check(group === letter, `${name} plays in group ${letter} and in group ${group}`);
    return { name, code, group: letter, confed };
  }),
);
const groupOf = new Map(teams.map(({ name, group }) => [name, group]));

// ---------------------------------------------------------------- matches

const countryOf = new Map(read("worldcup.stadiums.json").stadiums.map(({ city, cc }) => [city, cc.toUpperCase()]));

function kickoff({ date, time }) {
  const [, clock, offset] = /^(\d\d:\d\d) UTC([+-]\d+)$/.exec(time);
  const local = Date.parse(`${date}T${clock}:00Z`);
  return new Date(local - Number(offset) * 3_600_000).toISOString().replace(":00.000Z", "Z");
}

/// Goals of one side as `{minute, added}`. The source writes one goal of the second half's added time of a match without
/// extra time as minute 92: that is 90+2.
function goals(list, side, wentOn) {
  return (list ?? []).map(({ minute }) => {
    let [regular, added = 0] = String(minute).split("+").map(Number);
    if (!wentOn && regular > 90) [regular, added] = [90, regular - 90];
    return { regular, added, side };
  });
}

const matches = read("worldcup.json").matches.map((match, position) => {
  const { num, round, team1, team2, score } = match;
  const wentOn = score.et !== undefined;
  const scored = [...goals(match.goals1, "h", wentOn), ...goals(match.goals2, "a", wentOn)].sort(
    (a, b) => a.regular - b.regular || a.added - b.added,
  );
  const until = (last) => ["h", "a"].map((side) => scored.filter((g) => g.side === side && g.regular <= last).length);
  check(groupOf.has(team1) && groupOf.has(team2), `an unknown team in ${team1} v ${team2}`);
  check(until(90).join() === score.ft.join(), `${team1} v ${team2} stood ${score.ft} after 90 minutes by score`);
  check(until(120).join() === (score.et ?? score.ft).join(), `${team1} v ${team2} ended ${score.et} by score`);
  check(countryOf.has(match.ground), `an unknown ground ${match.ground}`);
  return {
    num,
    position,
    kickoff: kickoff(match),
    stage: num === undefined ? GROUP_STAGE : (STAGES[round] ?? round),
    group: num === undefined ? match.group.replace("Group ", "") : "",
    country: countryOf.get(match.ground),
    team1,
    team2,
    score,
    goals: scored.map(({ regular, added, side }) => `${regular}${added ? `+${added}` : ""}${side}`).join(" "),
  };
});

// Knockout matches carry FIFA's number; group matches are numbered by kickoff, those that begin together by group.
const played = matches.filter(({ num }) => num === undefined);
played.sort((a, b) => a.kickoff.localeCompare(b.kickoff) || a.group.localeCompare(b.group) || a.position - b.position);
played.forEach((match, index) => (match.num = index + 1));
matches.sort((a, b) => a.num - b.num);
check(matches.length === 104 && matches.every(({ num }, index) => num === index + 1), "matches are not numbered 1 to 104");

// ---------------------------------------------------------------- events, in the order in which they are opened

const [, ...bracket] = readFileSync(join(here, "bracket.tsv"), "utf8").trimEnd().split("\n").map((line) => line.split("\t"));
const slots = new Map(bracket.map(([match, stage, first, second]) => [Number(match), { stage, first, second }]));

const after90 = matches.map(({ num, stage, team1, team2 }) => {
  // Nobody knows the teams of a knockout match when its market opens: its slots in the bracket name them.
  if (stage === GROUP_STAGE) return { title: `Match ${num}: ${team1} v ${team2}, after 90 minutes`, labels: [team1, "Draw", team2] };
  const slot = slots.get(num);
  check(slot.stage === stage, `match ${num} is a ${stage}`);
  return {
    title: `Match ${num}: ${stage} (${slot.first} v ${slot.second}), after 90 minutes`,
    labels: ["First team", "Draw", "Second team"],
  };
});
const decided = bracket.map(([num, stage, first, second]) => ({
  title:
    stage === "Final" || stage === "Third place"
      ? `${stage}: to win`
      : `Match ${num}: ${stage} (${first} v ${second}), to advance`,
  labels: ["First team", "Second team"],
}));
const events = [
  { title: "World Cup 2026 champion", labels: teams.map(({ name }) => name) },
  ...groups.map(({ letter, teams }) => ({ title: `Winner of group ${letter}`, labels: teams })),
  ...after90,
  ...decided,
];
check(events.length === 149, `${events.length} events`);

// ---------------------------------------------------------------- output

const table = (header, rows) => [header, ...rows].map((row) => row.join("\t") + "\n").join("");
const dash = (score) => (score ? score.join("-") : "");
const write = (name, text) => writeFileSync(join(here, name), text);

write("teams.tsv", table(["team", "code", "group", "confederation"], teams.map((t) => [t.name, t.code, t.group, t.confed])));
write(
  "matches.tsv",
  table(
    ["match", "kickoff", "stage", "group", "country", "team1", "team2", "half_time", "after_90", "after_extra", "penalties", "goals"],
    matches.map((m) => [
      m.num, m.kickoff, m.stage, m.group, m.country, m.team1, m.team2,
      dash(m.score.ht), dash(m.score.ft), dash(m.score.et), dash(m.score.p), m.goals,
    ]),
  ),
);
write("events.json", `{"events":[\n${events.map((event) => JSON.stringify(event)).join(",\n")}\n]}\n`);
console.log(`${teams.length} teams, ${matches.length} matches, ${events.length} events`);
