// Every term that the page uses, in plain words: the help beside the controls and the glossary are this one table.

/**
 * Term to {short, more}: `short` says what it is, `more`, if any, what happens when one changes it. A help button
 * names its term: <button type="button" class="help" data-help="batch size"></button>.
 */
export const GLOSSARY = {
  normalising: {
    short: "Scaling and centring a drawing as the training digits are: in a box of 20 by 20 cells, its ink around the middle.",
    more: "The network knows digits of that size in that place only. Sent as drawn, a small 7 in a corner is something it has never seen.",
  },
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
  "test set": {
    short: "Labelled digits that the network is never trained on, 10,000 in MNIST. How many of them it reads rightly is how good it is.",
    more: "The training set will not do for that: a network can learn its digits by heart and still fail on all others.",
  },
  "confusion matrix": {
    short: "A table of what is taken for what: a row for each digit that there is, a column for each that is read.",
    more: "The diagonal counts the right readings. Strong colours beside it are the mistakes that are made most often: 4 and 9, for one.",
  },
  loss: {
    short: "How wrong the network was about a batch: it is high where a wrong digit was given a high probability.",
    more: "Ten equal guesses make 2.30, a sure and right answer nearly 0. If it climbs, the learning rate is too high.",
  },
  accuracy: {
    short: "The share of a batch that the network read rightly just before it learnt from it.",
    more: "It jumps, because a batch is only a few digits; the bold line is the average.",
  },
  "test accuracy": {
    short: "The share of the test digits that it reads rightly. It never trains on them, so it cannot know them by heart.",
    more: "This is the number that counts. Far below the accuracy in training, it has learnt examples by heart, not digits.",
  },
  smoothing: {
    short: "The bold line is an average over so many iterations; the faint one is every single batch.",
    more: "More: calmer, and later to show a change. At the start of a run it averages over fewer, and over none at 0.",
  },
  "logarithmic scale": {
    short: "Each step up the axis multiplies the loss instead of adding to it, so 0.1 to 0.01 takes as much room as 1 to 0.1.",
    more: "Use it late in a run, when a plain scale shows a flat line at the bottom, or to see how far a loss has run away.",
  },
};
