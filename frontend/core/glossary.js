// Every term that the page uses, in plain words: the help beside the controls and the glossary are this one table.

/**
 * Term to {short, more}: `short` says what it is, `more`, if any, what happens when one changes it. A help button
 * names its term: <button type="button" class="help" data-help="batch size"></button>.
 */
export const GLOSSARY = {
  iteration: {
    short: "One step of learning: the network reads one batch, sees how wrong it was, and changes its weights a little.",
    more: "“Train N” takes so many steps and stops. “Reset” throws away what was learnt and starts from random weights.",
  },
  "learning rate": {
    short: "How far the weights move at each step.",
    more: "Raise it: it learns faster, until the steps are so long that the loss jumps or runs away. Lower it: slow, but sure.",
  },
  "cache size": {
    short: "How many batches are kept ready ahead of the training, or are on their way.",
    more: "Raise it: training does not wait when a data worker is late. Lower it: a new batch size takes effect sooner.",
  },
  probability: {
    short: "How likely the network takes each digit to be, from 0 to 1. The ten of them add up to 1.",
    more: "A high one means that it is sure, not that it is right. Below 0.6 the page says that it is not sure.",
  },
  teaching: {
    short: "One training step on your drawing alone, with the label that you give it. The marks on the bars show what it said before.",
    more: "A few steps make it read your hand; many make it forget the others'. A version of the weights is kept each time.",
  },
  "batch size": {
    short: "A batch is the handful of digits that the network looks at before it changes its weights once.",
    more: "Larger: each step is steadier, but takes longer. Smaller: many quick, jittery steps.",
  },
};
