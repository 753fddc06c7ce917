// Every term that the page uses, in plain words: the help beside the controls and the glossary are this one table.

/**
 * Term to {short, more}: `short` says what it is, `more`, if any, what happens when one changes it. A help button
 * names its term: <button type="button" class="help" data-help="batch size"></button>.
 */
export const GLOSSARY = {
  "batch size": {
    short: "A batch is the handful of digits that the network looks at before it changes its weights once.",
    more: "Larger: each step is steadier, but takes longer. Smaller: many quick, jittery steps.",
  },
};
