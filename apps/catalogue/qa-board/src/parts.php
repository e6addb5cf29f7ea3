<?php

/** What the pages are put together from. Every function returns HTML. */

declare(strict_types=1);

namespace QaBoard;

/** Text as HTML. What is not UTF-8 in it becomes a replacement mark. */
function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE | ENT_HTML5, 'UTF-8');
}

function layout(string $title, string $body, ?Archive $archive): string
{
    $newest = $archive?->newest();
    $fresh = $newest === null ? '' : '<p class="fresh">Data of <time datetime="' . e($newest) . '">' . e($newest) . '</time></p>';
    $end = $newest === null ? '' : '<p>Board complete: data of ' . e($newest) . '.</p>';
    if ($archive?->cut) {
        $end .= '<p>Only the newest ' . Archive::MAX_DAYS . ' days, and the first ' . number_format(Archive::MAX_RUNS) . ' runs of each, are shown.</p>';
    }
    return '<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>' . e($title) . ' · QA board</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top"><a class="home" href="./"><img src="icon.svg" alt="" width="28" height="28">QA board</a>' . $fresh . '</header>
<main id="main">
' . $body . '
</main>
<footer>' . $end . '</footer>
</body>
</html>
';
}

function problem(string $what, string $why): string
{
    return '<h1>' . e($what) . '</h1><p class="lead">' . e($why) . '</p><p><a href="./">To the board</a></p>';
}

/** A result in words, with a sign beside it: never by colour alone. */
function badge(Result $result): string
{
    return '<span class="badge ' . $result->value . '"><span aria-hidden="true">' . $result->sign() . '</span> ' . $result->words() . '</span>';
}

/** A day as people say it: Thu 2013-06-20. */
function day(string $date): string
{
    $at = \DateTimeImmutable::createFromFormat('!Y-m-d', $date);
    return ($at === false ? '' : $at->format('D') . ' ') . $date;
}

function dayLink(string $date): string
{
    return 'day.php?' . http_build_query(['date' => $date]);
}

/** The figures of some runs. */
function figures(Tally $tally): string
{
    $html = '<div class="figure"><dt>Runs</dt><dd>' . $tally->total . '</dd></div>';
    foreach (Result::cases() as $result) {
        if ($tally->count($result) > 0 || $result === Result::Passed || $result === Result::Failed) {
            $html .= '<div class="figure ' . $result->value . '"><dt><span aria-hidden="true">' . $result->sign() . '</span> '
                . ucfirst($result->words()) . '</dt><dd>' . $tally->count($result) . '</dd></div>';
        }
    }
    return '<dl class="figures">' . $html . '</dl>';
}

/**
 * Runs as a list.
 *
 * @param list<Run> $runs
 * @param callable(Run): string $title HTML of a run's first line
 */
function runList(array $runs, callable $title, Archive $archive): string
{
    $html = '';
    foreach ($runs as $run) {
        $about = array_filter([$run->sequence, $run->system, $run->commit === '' ? '' : 'commit ' . $run->shortCommit()]);
        $html .= '<li>' . badge($run->result) . '<div><p class="title">' . $title($run) . '</p>'
            . ($about === [] ? '' : '<p class="about">' . e(implode(' · ', $about)) . '</p>')
            . stepsLine($archive->details($run)) . '</div></li>';
    }
    return '<ol class="runs">' . $html . '</ol>';
}

/** How the steps of a run went, in one line. */
function stepsLine(?Details $details): string
{
    if ($details === null || $details->steps === []) {
        return '';
    }
    $names = array_unique(array_map(fn (Step $s): string => $s->name, $details->failed()));
    $names = array_values(array_diff($names, ['TEST'])); // the sum of the others
    $failed = $names === [] ? '' : '; failed: ' . implode(', ', array_slice($names, 0, 4));
    $more = count($names) > 4 ? ' and ' . (count($names) - 4) . ' more' : '';
    return '<p class="about">' . $details->passed() . ' of ' . count($details->steps) . ' steps passed' . e($failed) . $more . '</p>';
}

/**
 * The last runs of a test, one sign each, the newest at the right.
 *
 * @param list<Run> $runs the newest first
 */
function strip(array $runs): string
{
    $runs = array_reverse(array_slice($runs, 0, 14));
    $words = implode(', ', array_map(fn (Run $r): string => $r->result->words(), $runs));
    $html = '';
    foreach ($runs as $run) {
        $html .= '<span class="' . $run->result->value . '">' . $run->result->sign() . '</span>';
    }
    return '<span class="strip" role="img" aria-label="The last runs, oldest first: ' . e($words) . '">' . $html . '</span>';
}
