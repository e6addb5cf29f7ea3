<?php

/** The board: all days, all tests. */

declare(strict_types=1);

namespace QaBoard;

require __DIR__ . '/../src/board.php';

answer(function (Archive $archive): array {
    $runs = $archive->all();
    $days = [];
    foreach ($archive->days as $date) {
        $days[$date] = Tally::of(array_filter($runs, fn (Run $r): bool => $r->day === $date));
    }
    return ['Test runs', overview($archive, Tally::of($runs), $days) . testList(byTest($runs))];
});

/** @param array<string, Tally> $days the newest first */
function overview(Archive $archive, Tally $all, array $days): string
{
    return '<h1>Test runs</h1><p class="lead">' . e($archive->oldest() . ' to ' . $archive->newest()) . ', ' . $all->share() . '.</p>'
        . figures($all) . '<div class="wide">' . dayTable($days) . Chart::of('Runs a day', array_reverse($days, true)) . '</div>';
}

/** @param array<string, Tally> $days the newest first */
function dayTable(array $days): string
{
    $rows = '';
    foreach ($days as $date => $tally) {
        $rows .= '<tr><th scope="row"><a href="' . e(dayLink($date)) . '"><time datetime="' . e($date) . '">' . e(day($date)) . '</time></a></th><td>' . $tally->total . '</td><td>'
            . $tally->count(Result::Passed) . '</td><td>' . $tally->count(Result::Failed) . '</td><td>' . $tally->other() . '</td></tr>';
    }
    return '<table class="numbers"><caption>Days</caption><thead><tr><th scope="col">Day</th><th scope="col">Runs</th><th scope="col">Passed</th>'
        . '<th scope="col">Failed</th><th scope="col">Other</th></tr></thead><tbody>' . $rows . '</tbody></table>';
}

/**
 * Runs by test, the newest first: tests that did not pass last time, then the others.
 *
 * @param list<Run> $runs
 * @return array<string, non-empty-list<Run>>
 */
function byTest(array $runs): array
{
    $tests = [];
    usort($runs, fn (Run $a, Run $b): int => [$b->day, $b->time, (int) $b->uid] <=> [$a->day, $a->time, (int) $a->uid]);
    foreach ($runs as $run) {
        $tests['=' . $run->test][] = $run; // "=": a name of digits stays a string
    }
    uasort($tests, fn (array $a, array $b): int => [$a[0]->result === Result::Passed, $a[0]->test] <=> [$b[0]->result === Result::Passed, $b[0]->test]);
    return $tests;
}

/** @param array<string, non-empty-list<Run>> $tests */
function testList(array $tests): string
{
    $html = '';
    foreach ($tests as $runs) {
        $tally = Tally::of($runs);
        $html .= '<li>' . badge($runs[0]->result) . '<div><p class="title"><a href="' . e($runs[0]->testLink()) . '">' . e($runs[0]->test) . '</a></p><p class="about">'
            . $tally->count(Result::Passed) . ' of ' . $tally->total . ' passed, last run ' . e($runs[0]->day) . '</p></div>' . strip($runs) . '</li>';
    }
    return '<section><h2>Tests</h2><p class="lead">' . count($tests) . ' of them; those that did not pass last time come first.</p>'
        . '<ol class="runs">' . $html . '</ol></section>';
}
