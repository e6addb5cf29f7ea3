<?php

/** The history of one test: ?name=vic-CI-static. */

declare(strict_types=1);

namespace QaBoard;

require __DIR__ . '/../src/board.php';

answer(function (Archive $archive): array {
    $name = asked('name');
    $runs = $archive->history($name);
    $tally = Tally::of($runs);
    $days = [];
    foreach (array_reverse($archive->days) as $date) {
        $days[$date] = Tally::of(array_filter($runs, fn (Run $r): bool => $r->day === $date));
    }
    $title = fn (Run $run): string => '<a href="' . e($run->link()) . '">' . e(trim(day($run->day) . ' ' . substr($run->time, 0, 5)))
        . '</a> <span class="about">run ' . e($run->uid) . '</span>';
    return [$name, '<h1>' . e($name) . '</h1><p class="lead">' . ucfirst($tally->share()) . ', ' . e($archive->oldest() . ' to ' . $archive->newest()) . '.</p>'
        . '<nav class="near" aria-label="Other pages"><a href="./">All tests</a></nav>'
        . figures($tally) . '<div class="wide">' . Chart::of('Runs of this test a day', $days) . weakSteps($archive, $runs) . '</div>'
        . '<section><h2>Runs</h2>' . runList($runs, $title, $archive) . '</section>'];
});

/**
 * The steps that failed most often.
 *
 * @param list<Run> $runs
 */
function weakSteps(Archive $archive, array $runs): string
{
    $failed = [];
    foreach ($runs as $run) {
        $names = array_map(fn (Step $s): string => $s->name, $archive->details($run)?->failed() ?? []);
        foreach (array_diff(array_unique($names), ['TEST']) as $name) {
            $failed[$name] = ($failed[$name] ?? 0) + 1;
        }
    }
    if ($failed === []) {
        return '';
    }
    arsort($failed);
    $rows = '';
    foreach (array_slice($failed, 0, 8, true) as $name => $times) {
        $rows .= '<tr><th scope="row">' . e((string) $name) . '</th><td>' . $times . '</td></tr>';
    }
    return '<table class="numbers"><caption>Steps that failed</caption><thead><tr><th scope="col">Step</th><th scope="col">In runs</th></tr></thead><tbody>' . $rows . '</tbody></table>';
}
