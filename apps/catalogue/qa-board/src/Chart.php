<?php

declare(strict_types=1);

namespace QaBoard;

/**
 * Stacked bars, one a day, as inline SVG. What it shows stands in a table or a
 * list beside it as well. Failed runs are hatched: the bars are told apart
 * without colour.
 */
final class Chart
{
    private const WIDTH = 360;
    private const TOP = 20;
    private const BASE = 164; // where the bars stand
    private const HEIGHT = 190;

    /** @param array<string, Tally> $days by date, the oldest first; at least one */
    public static function of(string $title, array $days): string
    {
        $most = max(1, ...array_values(array_map(fn (Tally $t): int => $t->total, $days)));
        $slot = self::WIDTH / count($days);
        $every = (int) ceil(count($days) / 7); // as many labels as fit
        $bars = '';
        $i = 0;
        foreach ($days as $date => $tally) {
            $bars .= self::bar($tally, $i * $slot, $slot, (self::BASE - self::TOP) / $most);
            if ($i % $every === 0) {
                $bars .= self::label($i * $slot + $slot / 2, self::HEIGHT - 9, substr($date, 5));
            }
            $i++;
        }
        $words = implode('; ', array_map(fn (string $d): string => $d . ': ' . $days[$d]->words(), array_keys($days)));
        return '<figure class="chart"><svg viewBox="0 0 ' . self::WIDTH . ' ' . self::HEIGHT . '" role="img" aria-labelledby="chart-title chart-desc">'
            . '<title id="chart-title">' . e($title) . '</title><desc id="chart-desc">' . e($words) . '</desc>'
            . '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            . '<rect class="failed" width="6" height="6"/><rect class="stripe" width="1.6" height="6"/></pattern></defs>'
            . $bars . '<line class="base" x1="0" x2="' . self::WIDTH . '" y1="' . self::BASE . '" y2="' . self::BASE . '"/></svg>'
            . '<figcaption><span class="key passed"></span>passed <span class="key failed"></span>failed <span class="key other"></span>other</figcaption></figure>';
    }

    private static function bar(Tally $tally, float $x, float $slot, float $unit): string
    {
        $width = min(34.0, $slot * 0.7);
        $left = $x + ($slot - $width) / 2;
        $y = (float) self::BASE;
        $html = '';
        $parts = ['passed' => $tally->count(Result::Passed), 'failed' => $tally->count(Result::Failed), 'other' => $tally->other()];
        foreach ($parts as $class => $count) {
            if ($count === 0) {
                continue;
            }
            $y -= $count * $unit;
            $html .= sprintf('<rect class="%s" x="%.1F" y="%.1F" width="%.1F" height="%.1F"/>', $class, $left, $y, $width, $count * $unit);
        }
        return $html . ($slot < 18 ? '' : self::label($x + $slot / 2, $y - 5, (string) $tally->total));
    }

    private static function label(float $x, float $y, string $text): string
    {
        return sprintf('<text x="%.1F" y="%.1F">%s</text>', $x, $y, e($text));
    }
}
