"""Every field, with what it means. Other configs import this one and override fields.

    python main.py --config=configs/default.py --workdir=/tmp/default

trains one network on generated pictures, raw.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The study's raw network on generated pictures."""
    config = ConfigDict()

    # What main.py does: train (and test), robustness (test trained networks on distorted images),
    # hash_robustness, export_distorted, arrays (write the study's five arrays), hash_images,
    # catalog or hash_study.
    config.job = "train"
    # Name of the run, in logs and tables.
    config.name = "default"
    # Named runs that are compared: name -> the fields it overrides. Empty: one run, this config.
    config.runs = ConfigDict()
    # Train only these of the named runs, comma-separated. Empty: all of them.
    config.only = ""
    # Published numbers to print beside a run on CIFAR-10: original, phash, a row of Fig 5.5 (as its
    # config is named; original_fig_5_5), ten_classes or none.
    config.published = "none"

    # How a uint8 image becomes the network's input:
    # - raw;
    # - three bits per pixel: average_hash (above the mean of the image), channel_average_hash,
    #   median_hash, local_average_hash (above the mean of 9x9 pixels), smooth_local_average_hash
    #   (the same after averaging over 3x3 pixels, against noise), multiscale_hash (gray above the
    #   mean of 3x3, of 9x9 and of all pixels), difference_hash (above the left neighbour),
    #   bit_depth_1 (rounded to one bit);
    # - fewer: gray_average_hash, dct_hash (signs of the low coefficients);
    # - more: gradient_hash (above the left and above the upper neighbour), thermometer_2 to _4
    #   (above that many quantiles), bit_depth_2 and _4 (rounded), raw_and_average_hash (both).
    config.preprocess = "raw"
    # softmax_cross_entropy, sigmoid_cross_entropy (one-vs-all) or hinge (multiclass).
    config.loss = "softmax_cross_entropy"
    # softmax_cross_entropy only: share of the target that is spread over all outputs, 0 to below 1.
    config.label_smoothing = 0.0
    # Test sets, comma-separated, distorted before preprocessing: clean (always), contrast_200,
    # contrast_300.
    config.test_sets = "clean,contrast_200"
    # Images in a test batch.
    config.test_batch_size = 500
    # Test the mirrored image too and average the logits.
    config.test_flip = False
    # Test the image shifted by so many pixels along each of the four diagonals too, and average the
    # logits; what is missing is reflected.
    config.test_shift = 0

    config.data = data = ConfigDict()
    # synthetic (generated pictures, needs no file), cifar10 or file (your own pictures).
    data.name = "synthetic"
    # Classes to keep, comma-separated, in the order of their labels. Empty: all of the source.
    data.classes = "cat,dog"
    # How often the training split is repeated; the study's 20,000 images were 10,000 twice.
    data.train_repeats = 1
    # Scramble the training images as the study's loader did: HWC bytes read as CHW.
    data.scramble_train = False
    # Share of each class's training images (the last ones) that is held out of training and tested
    # on instead of the test images: choose by these, and use the test images once, at the end. 0:
    # none.
    data.validation_share = 0.0
    # cifar10: folder of prepared datasets. Empty: variable TFDS_DATA_DIR, else the TFDS default.
    data.dir = ""
    # file: an .npz, a folder of .npy files, or one with <split>/<class>/*.png or *.jpg.
    data.path = ""
    # synthetic, and file with a folder: side of the square images, pixels.
    data.image_size = 32
    # synthetic: images in the training and the test split, and the seed they are generated from.
    data.train_size = 10_000
    data.test_size = 2_000
    data.seed = 0

    config.model = model = ConfigDict()
    # Conv layers, each with max-pool 2; channels and side of the square kernel in pixels.
    model.conv_layers = 3
    model.conv_features = 64
    model.kernel_size = 5
    # Sizes of the hidden dense layers.
    model.dense_features = (256, 128)
    # Size of the logits. 0: one per class. The study's head had 10 for 2 classes.
    model.num_outputs = 0
    # relu, elu, tanh or gelu.
    model.activation = "relu"
    # lecun_normal, truncated_normal (with kernel_stddev), he_normal, glorot_uniform, uniform (0 to
    # 1). The study names truncated_normal with 0.1. That is right for the first layer (fan-in 75:
    # lecun_normal is 0.115 there), and several times too much for the deep convolutions (fan-in
    # 1600: 0.025). It trains, but worse: CIFAR-10 cats and dogs, one seed, test accuracy after
    # 2,000 steps raw 70.7 % against 75.2 %, hashed 63.1 % against 66.9 % (an early sketch of
    # this network, not in the results).
    model.kernel_init = "lecun_normal"
    model.kernel_stddev = 0.1
    model.bias_init = 0.1
    # Batch norm after the convolution of which layers: none, first or all.
    model.batch_norm = "none"
    # Or group norm (8 groups of an image's channels): none, first or all. It needs no other images.
    model.group_norm = "none"
    # Share of values dropped before each hidden dense layer in training, 0 to below 1.
    model.dropout = 0.0
    # What layers are computed in: float32 or bfloat16, for accelerators (on CPU it is slower).
    # Parameters, optimizer, statistics of batch norm, logits and loss are float32 in any case.
    # Accelerators multiply float32 in a faster format of theirs (TF32, bfloat16) unless the
    # environment says JAX_DEFAULT_MATMUL_PRECISION=highest.
    model.compute_dtype = "float32"

    config.optimizer = optimizer = ConfigDict()
    # adam, adamw, muon, sgd or adagrad; and the weight decay, for adamw and muon (kernels only).
    optimizer.name = "adam"
    optimizer.weight_decay = 0.0
    # The highest rate; its schedule: constant, cosine (down to 0) or triangle (straight down to 0;
    # with a warm-up, one-cycle); and the share of the steps over which it first rises from 0.
    optimizer.learning_rate = 1e-4
    optimizer.schedule = "constant"
    optimizer.warmup = 0.0
    # Test a moving average of the parameters that keeps this share at each update. 0: none. Meant
    # for schedules that end at 0, since batch norm's statistics are those of the newest parameters.
    optimizer.average_decay = 0.0

    config.train = train = ConfigDict()
    train.num_steps = 10_000
    train.batch_size = 64
    # Distortions of the training images, comma-separated: what distortions.names may name, and
    # "clean" for none; a name given twice counts twice. Every batch is shared out equally among
    # them, at severities 1 to 5 drawn for each image. Empty: none.
    train.augment = ""
    # Mirror every second training image, left to right; and shift each by up to so many pixels up
    # or down and left or right, what is missing reflected. Before the distortions.
    train.flip = False
    train.max_shift = 0
    # Stretch or squeeze height and width of each, by a factor between 1 / (1 + this) and 1 + this.
    # From 0 (none) to 1. Before it is shifted.
    train.max_zoom = 0.0
    # Cover a square of so many pixels a side of each with its mean colour, anywhere. 0: none.
    train.cutout = 0
    # Mix each image with another of its batch and, in the loss, their labels; the shares are drawn
    # from a beta distribution with both parameters equal to this. 0: none; 1: all shares equally
    # likely. From 0 to 100. Done after all of the above and before the distortions. Training
    # accuracy counts the label with the larger share.
    train.mixup = 0.0
    # Learn from trained networks: the workdir of a single run (empty: none); how many of its seeds
    # teach, the first ones, in turn from step to step; and the share of their answers in the loss,
    # the rest being that of the labels. Teachers see the images before distortion and
    # preprocessing.
    train.teacher = ""
    train.teachers = 1
    train.teacher_share = 0.9
    # Networks trained, with seeds seed, seed + 1, ...: own initialisation, own batches.
    train.num_seeds = 1
    train.seed = 0
    # Steps between two log lines, and between two checkpoints (a multiple of log_every).
    train.log_every = 100
    train.checkpoint_every = 1_000
    # Steps between two tests of the networks as they are, on test_sets; a multiple of log_every. 0:
    # only at the end. Costs time and changes nothing in the training.
    train.test_every = 0
    # Newest checkpoints kept; the one with the lowest loss is kept besides.
    train.keep_checkpoints = 2
    # scan (the steps between two logs are one program), dispatch (one by one, as images that are
    # read ahead always are) or auto.
    train.loop = "auto"
    # Where training images are: on every device (never), or read ahead for each step from memory or
    # from mapped files (always); auto: read ahead if they take more than half a device's memory.
    train.stream = "auto"
    # Batches that are read ahead.
    train.prefetch = 16
    # Jobs train, robustness and hash_robustness: virtual devices the CPU is split into. 0: one per
    # core or, where one process trains and a core would have neither a network of its own nor 64
    # images of a batch, one per two cores. Without effect on an accelerator.
    train.cpu_devices = 0

    config.distortions = distortions = ConfigDict()
    # Jobs robustness, hash_robustness and export_distorted: distortions, comma-separated, by name
    # or group: cifar10c (CIFAR-10-C's 15), extra (its 4 more), study (the study's 4).
    distortions.names = "cifar10c,extra,study"
    # Severities, comma-separated: some of 1 to 5.
    distortions.severities = "1,2,3,4,5"
    # Draws of what is random in a distortion (the last two jobs take 1), and their seed.
    distortions.draws = 1
    distortions.seed = 0

    config.robustness = robustness = ConfigDict()
    # Job robustness: workdirs of trained networks, comma-separated; each a run or a folder of runs,
    # of which the one that overrides nothing comes first and the others follow by name. The first
    # run of all is the one that the others are compared with.
    robustness.networks = ""

    config.hash = hashes = ConfigDict()
    # Jobs hash_images, catalog and hash_robustness: hashes of every image, comma-separated:
    # average_hash, dhash, dhash_vertical, phash, phash_simple, whash, colorhash.
    hashes.names = "average_hash,dhash,phash,whash"
    # Side of the hashes, in bits (colorhash has its own size).
    hashes.size = 8
    # Job hash_robustness: networks' inputs of one bit per value, comma-separated as for preprocess,
    # whose flipped bits are counted besides.
    hashes.inputs = (
        "average_hash,channel_average_hash,median_hash,local_average_hash,difference_hash,"
        "bit_depth_1"
    )
    # Pillow whose arithmetic the hashes follow: 6.0, 7.0, 12.2 or 13.0, each up to the next.
    hashes.pillow = "13.0"

    config.pictures = pictures = ConfigDict()
    # Job hash_images: folder with pictures of any size, searched with its subfolders.
    pictures.path = ""
    # Near-duplicates: the hash that decides (one of hash.names), the largest distance in bits, and
    # how many pairs are listed at most (the count is exact all the same).
    pictures.near_hash = "phash"
    pictures.near_radius = 4
    pictures.near_max_pairs = 100_000
    # Threads that decode. 0: one per core.
    pictures.threads = 0
    # Pictures between two saves, and the most pixels of one picture.
    pictures.part_size = 1_000
    pictures.max_pixels = 89_478_485

    config.catalog = catalog = ConfigDict()
    # Job catalog: folder or bucket for <id>.png. Empty: images/ in the workdir. One for each
    # dataset: the files of another have the same names, and it is refused.
    catalog.image_dir = ""

    config.hash_study = hash_study = ConfigDict()
    # Job hash_study: your own picture, and a different one to compare. Empty: drawn scenes.
    hash_study.picture = ""
    hash_study.other_picture = ""
    # Images of each class in the scatter plots and counts, and the distance below which two hashes
    # count as near.
    hash_study.images_per_class = 100
    hash_study.near = 10

    # A misspelt field is an error in the configs that start from this one, too.
    config.lock()
    config.runs.unlock()
    return config
