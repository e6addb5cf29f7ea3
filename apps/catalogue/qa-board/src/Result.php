<?php

declare(strict_types=1);

namespace QaBoard;

/** How a run or one of its steps ended. */
enum Result: string
{
    case Passed = 'passed';
    case Failed = 'failed';
    case Killed = 'killed';
    case Running = 'running';
    case None = 'none';

    /** None for a word that is not known here. */
    public static function of(string $word): self
    {
        return self::tryFrom(strtolower($word)) ?? self::None;
    }

    public function words(): string
    {
        return $this === self::None ? 'no result' : $this->value;
    }

    /** Tells results apart where there is room for one letter, without colour. */
    public function sign(): string
    {
        return match ($this) {
            self::Passed => '✓',
            self::Failed => '✗',
            self::Killed => '■',
            self::Running => '…',
            self::None => '?',
        };
    }
}
