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
  weights: {
    short: "The numbers that the network multiplies its inputs by, one for each connection: about 100,000. Learning changes them, nothing else.",
    more: "So whoever has the weights has all that was learnt: they can be kept, fetched as a file, and put back.",
  },
  version: {
    short: "Each change of the weights has a number, which only grows. The history keeps some of them to go back to.",
    more: "To restore one does not rewrite the history: a copy goes live under a new number, and what was live before stays in the list.",
  },
  checkpoint: {
    short: "A copy of the weights that training keeps by itself, every half a minute and when it stops.",
    more: "The oldest checkpoints make room for new ones. What you save or upload stays until you delete it.",
  },
  formats: {
    short: "safetensors and npz are small and exact, for PyTorch and numpy; json can be read by eye; onnx holds the whole network for other programs.",
    more: "A file of any of the four can be uploaded again, if it is a network of the same shape.",
  },
  "hidden unit": {
    short: "A small detector. It weighs every cell of the sheet, adds it all up, and fires if the sum is above 0.",
    more: "What it says for each digit is added to what the others say; the digit with the highest sum is the guess.",
  },
  filter: {
    short: "The weights from the sheet to one hidden unit, laid out as the sheet is: what the unit looks for.",
    more: "Blue: ink here makes it fire more. Orange: ink here keeps it silent. In the large tile the weights under your ink stand out. Before training all is noise.",
  },
  activation: {
    short: "How strongly a hidden unit fires on the drawing: 0 is silent. The stronger it is, the bolder the frame of its tile.",
    more: "What a unit says for a digit is its activation times its weight for that digit: the ten bars beside the large tile.",
  },
  "range of colours": {
    short: "Which weight has the strongest colour: the largest of each tile, or the largest of all of them.",
    more: "Each its own: one sees the shape of every filter. One for all: one sees which filters are strong.",
  },
  batch: {
    short: "A handful of labelled digits, cut out of the data set: what the network learns from in one iteration.",
    more: "Data workers cut them ahead of time, and they wait in Redis until the trainer takes them.",
  },
  ticket: {
    short: "A slip that says which batch to cut, never the digits themselves. Whichever data worker is free takes the next one.",
    more: "So workers may come, go or die half way: the same tickets give the same batches, and the network learns the same.",
  },
  "data worker": {
    short: "A small program that takes a ticket, cuts that batch out of the data set, and puts it in the list of batches.",
    more: "Add some where training waits for data. Take some away, and it goes on with fewer, or waits.",
  },
  cache: {
    short: "The batches that are ready or asked for, ahead of the training. It fills up again whether or not training runs.",
    more: "“Cache size” says how many. A full one carries the training over a moment in which no worker answers.",
  },
  Redis: {
    short: "A small, fast store in memory. Services leave lists, news and the latest values there for each other.",
    more: "No service here talks to another one directly: each can stop and start again without the others noticing.",
  },
  gateway: {
    short: "The service that each open page is connected to. It passes on the news of the training, and what people press.",
    more: "A page that reads slowly gets fewer, larger pieces of news, and slows neither the training nor other pages.",
  },
  epoch: {
    short: "Once through the whole training set: 60,000 digits in MNIST, 469 batches of 128.",
    more: "Each epoch goes through them in another order. A first epoch teaches most; later ones refine.",
  },
};
