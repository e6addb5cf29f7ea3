<?php

/** One day: ?date=2013-06-20. */

declare(strict_types=1);

namespace QaBoard;

require __DIR__ . '/../src/board.php';

answer(function (Archive $archive): array {
    $date = asked('date');
    $runs = $archive->runs($date);
    usort($runs, fn (Run $a, Run $b): int => [$a->time, $a->test, (int) $a->uid] <=> [$b->time, $b->test, (int) $b->uid]);
    $tally = Tally::of($runs);
    $title = fn (Run $run): string => ($run->time === '' ? '' : '<time>' . e(substr($run->time, 0, 5)) . '</time> ')
        . '<a href="' . e($run->link()) . '">' . e($run->test) . '</a> <span class="about">run ' . e($run->uid) . '</span>';
    $list = $runs === [] ? '<p>No test ran on this day.</p>' : runList($runs, $title, $archive);
    return [day($date), '<h1>' . e(day($date)) . '</h1><p class="lead">' . ucfirst($tally->share()) . '.</p>' . neighbours($archive, $date)
        . figures($tally) . '<section><h2>Runs</h2>' . $list . '</section>'];
});

/** Links to the day before and the day after. */
function neighbours(Archive $archive, string $date): string
{
    $at = (int) array_search($date, $archive->days, true);
    $html = '';
    foreach (['Day before' => $archive->days[$at + 1] ?? '', 'Day after' => $archive->days[$at - 1] ?? ''] as $words => $other) {
        if ($other !== '') {
            $html .= '<a href="' . e(dayLink($other)) . '">' . $words . ': ' . e(day($other)) . '</a> ';
        }
    }
    return '<nav class="near" aria-label="Other days">' . $html . '<a href="./">All days</a></nav>';
}
