<?php

/** One run: ?test=vic-CI-static&uid=1031. */

declare(strict_types=1);

namespace QaBoard;

require __DIR__ . '/../src/board.php';

answer(function (Archive $archive): array {
    [$test, $uid] = [asked('test'), asked('uid')];
    foreach ($archive->history($test) as $run) {
        if ($run->uid === $uid) {
            return ["$test, run $uid", runPage($run, $archive)];
        }
    }
    throw new NotFound("This test has no run of that number from {$archive->oldest()} to {$archive->newest()}.");
});

function runPage(Run $run, Archive $archive): string
{
    $details = $archive->details($run);
    return '<h1>' . e($run->test) . '</h1><p class="lead">' . badge($run->result) . ' Run ' . e($run->uid) . ', <a href="' . e(dayLink($run->day)) . '">'
        . e(day($run->day)) . '</a> ' . e($run->time) . '</p>'
        . '<nav class="near" aria-label="Other pages"><a href="' . e($run->testLink()) . '">All runs of this test</a></nav>'
        . facts($run, $details) . '<section><h2>Steps</h2>' . steps($run, $details, $archive->stepInfo()) . '</section>';
}

function facts(Run $run, ?Details $details): string
{
    $facts = ['Sequence' => $run->sequence, 'System' => $run->system, 'Commit' => $run->commit];
    $names = ['GIT_REPO' => 'Branch', 'NETWORK' => 'Network', 'ARCH' => 'Bits', 'DURATION' => 'Machines after'];
    foreach ($names as $key => $name) {
        $facts[$name] = $details->facts[$key] ?? '';
    }
    $machines = trim($details->facts['MACHINES'] ?? '');
    $facts['Machines'] = $machines === '' ? '' : (string) count(explode(' ', $machines)); // how many, not which
    $html = '';
    foreach (array_filter($facts, fn (string $v): bool => $v !== '') as $name => $value) {
        $html .= '<div' . ($name === 'Commit' ? ' class="whole"' : '') . '><dt>' . $name . '</dt><dd>' . e($value) . '</dd></div>';
    }
    return $html === '' ? '' : '<dl class="facts">' . $html . '</dl>';
}

/** @param array<string, string> $info */
function steps(Run $run, ?Details $details, array $info): string
{
    if ($details === null || $details->steps === []) {
        return '<p>' . ($run->result === Result::None ? 'This run was announced, and no result of it was published.' : 'The steps of this run were not published.') . '</p>';
    }
    $rows = '';
    foreach ($details->steps as $step) {
        $name = e($step->name) . ($step->round === 0 ? '' : ' <span class="about">round ' . $step->round . '</span>');
        $about = isset($info[$step->name]) ? '<p class="about">' . e($info[$step->name]) . '</p>' : '';
        $note = $step->note === '' ? '' : ' <span class="about">' . e($step->note) . '</span>';
        $rows .= '<li>' . badge($step->result) . '<div><p class="title">' . $name . $note . '</p>' . $about . '</div></li>';
    }
    return '<p class="lead">' . $details->passed() . ' of ' . count($details->steps) . ' passed, in the order they ran.</p><ol class="runs">' . $rows . '</ol>';
}
