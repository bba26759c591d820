# Completion of affectkit for PowerShell,
# made by `affectkit completions --write completions`; do not edit.
# To install: write ". C:\path\to\affectkit.ps1" into the file whose name $PROFILE holds.

Register-ArgumentCompleter -Native -CommandName 'affectkit', 'affectkit.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # What can be typed after each command: its commands and its options, each with a description after a blank.
    $commands = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    $commands[''] = @(
        'datasplit Split class folders into train and test, and balance the classes by...',
        'relabel Move files to their corrected classes; a kill at any moment loses nothing...',
        'train Train a model, or continue a run with --resume',
        'verify-resume Prove that a killed run with these settings ends, resumed, with the same bytes',
        'test Test a checkpoint on labelled images',
        'eval-corruptions Test a checkpoint on labelled images as they are and corrupted, at five...',
        'corruptions List the corruptions of eval-corruptions, or draw what they do to an image',
        'probe Reconstruct clips from the shared and the private codes of an audio-visual...',
        'infer Predict images: files, folders, glob patterns, or a list on standard input (-)',
        'merge Put the parts of --shard 1/N to N/N together, into the bytes that one run...',
        'quantiles Average predicted and actual values in bins of equal count, and compare...',
        'convert Turn a checkpoint that its authors published (VCA, V1 networks, CM-VQVAE...',
        'models List the models that train takes, or show what a checkpoint holds...',
        'pull Fetch the files of a Zenodo record, or one file, with checksum and resume',
        'cache Show or clear the features of frozen encoders that train keeps on disk',
        'demo Draw schematic faces, then train, test and infer on them, without any download',
        'doctor Say what is installed, which device and precision auto means and why, and...',
        'completions Print a shell''s completion script, or write those of all shells',
        'prep Bring a dataset as it is downloaded into the layout that train reads',
        'pipeline Show the pipeline that augments images, or save it as a file to start from')
    $commands['prep'] = @(
        'cremad CREMA-D: clips of actors, with the emotion acted and the votes of those...',
        'rml RML: acted emotions of eight people in several languages',
        'emovoxceleb EmoVoxCeleb: extracted frames and sounds, with a soft label a frame',
        'av-features Features of images and speech that were computed elsewhere, for --model...',
        'ferplus FER+: ten raters'' votes on the faces of FER-2013, by its authors'' rules',
        'affectnet-fused AffectNetFused: probabilities of thirteen emotions, a small text file an image',
        'schematic Schematic faces, drawn: a dataset for trying things out without a download')
    $commands['pipeline'] = @(
        'show Check a pipeline and show each transform: when it is applied, and its...',
        'save Write the built-in pipeline as YAML, to be changed and given to datasplit...')
    $options = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    $options[''] = @(
        '--version Print the version',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['datasplit'] = @(
        '--output-path Folder to make; without it PATH is changed in place, by a journal',
        '--train-split Share of each class that trains, above 0.5 and below 1. Default: 0.8',
        '--seed Everything random follows from it. Default: 0',
        '--group-by Regular expression with one group, searched in file names; a group stays...',
        '--on-error Of files that cannot be read. Default: fail',
        '--balance Grow all classes to one size, in train and in test',
        '--balance-train Balance the train side',
        '--balance-test Balance the test side',
        '--global-multiplier Grow the classes of a balanced side to this many times the size. Default: 1',
        '--pipeline-yaml Albumentations pipeline in place of the built-in one (affectkit pipeline show)',
        '--quality Quality of JPEGs that are made; 0 takes each original''s own. Default: 95',
        '--preview Draw originals beside what was made of them',
        '--link How originals get to --output-path. Default: copy',
        '--label-col Column of the labels in train.csv and test.csv. Default: label',
        '--filename-col Column of the files in train.csv and test.csv. Default: filename',
        '--plain-csv Those two columns alone: no source and draw of made files',
        '--workers Processes. Default: one a processor',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--scheduler Dask scheduler whose workers do the work',
        '--dry-run Show what would happen; change nothing',
        '--undo Put every original back and remove what was made',
        '--force Undo another split that is in the way; with --undo, go on where files have...',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['relabel'] = @(
        '--labels-csv CSV file with the columns pth (old_label/file) and label',
        '--output-path Folder to copy into; without it PATH is changed in place, by a journal',
        '--dry-run Show what would happen; change nothing',
        '--undo Put every file back',
        '--force With --undo, go on where files have changed since',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['train'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--mode Modalities that emotions are told by. Default: multimodal',
        '--mask What the mask over the code channels is turned into: 0 private and 1...',
        '--mask-init Where the mask starts: all at --mask-scale, or uniform either side of 0',
        '--mask-scale Size of the mask''s first values. Default: 0.01',
        '--mask-threshold Above it a channel is shared. Default: 0.005',
        '--mask-penalty Weight of the sum of the mask in the loss; 0: off. Default: 0.0001',
        '--quantizer Codes as moving averages of what they stand for, or learned (plain)',
        '--codes Codes of each modality. Default: 512',
        '--hidden Channels of the encoders and decoders. Default: 128',
        '--stage What is trained: all together; the autoencoders alone; the solver alone...',
        '--recon-scale What reconstruction errors are divided by: nothing, as published, or the...',
        '--reset-mask With --init: put the mask back to its first values',
        '--data Folder with the dataset; its layout is found by looking',
        '--labels Table of labels or ratings of the images in --data, if it does not lie there',
        '--test-data Images to test on after training. Default: --data, with --test-labels',
        '--test-labels Table of the labels or ratings of --test-data',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--output Run folder to make',
        '--resume Continue this run folder; needs nothing else',
        '--force Write into an --output that is not empty',
        '--val-fraction Share of the training images held out where the data has no validation split',
        '--drop-copies Leave images out of validation and test that are exact copies of images in...',
        '--augment Augmentation preset. Default: face',
        '--fit How an image is brought to the input size. Default: crop',
        '--cache Hold decoded images in memory; auto: where they fit in a quarter of what...',
        '--on-error What a bad image does. Default: fail',
        '--model Model name; any timm backbone; vca, with the defaults of its study',
        '--task What is predicted; auto: classification where the data has labels...',
        '--pretrained Start from the weights on timm''s hub (downloaded once). Default: yes',
        '--no-pretrained Start from the weights on timm''s hub (downloaded once). Default: yes',
        '--init Start from the weights in this file, run folder, or builtin, instead',
        '--init-key Which weights of the --init file are taken, where it holds several: a key...',
        '--tune What learns: all; last: the classifier alone, on a network that stays as...',
        '--image-size Input height and width in pixels. Default: the model''s own',
        '--start-size Shorter side of training images at first; it grows to the input size over...',
        '--channels 3 for RGB, 1 for gray input. Default: 3',
        '--dropout Dropout in front of the last layer. Default: 0.3',
        '--top Classifier on the backbone: linear; mlp: a hidden layer of --top-width...',
        '--top-width Width of the hidden layer of --top mlp. Default: 512',
        '--v1 Components of resnet50_v1: center-surround, local-rf, tuned-norm or...',
        '--clip CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json...',
        '--clip-weights CLIP''s weights: a tag of open_clip (fetched once), a file, or random',
        '--clip-activation Activation that CLIP was trained with; a file does not tell. Default: auto',
        '--clip-normalise Normalise images by CLIP''s mean and std, which the published VCA does not',
        '--include-clip Save CLIP''s weights in checkpoints, not their name and hash alone',
        '--outputs Which ratings are predicted. Default: both',
        '--views Augmented views of each training image whose CLIP features are computed...',
        '--epochs Passes over the training images. Default: 20',
        '--loss One of mse, l1, kl, ce, js, for ratings vca, mse, l1, ccc; or a weighted...',
        '--optimizer Optimiser. Default: adam',
        '--lr Learning rate. Default: 0.001',
        '--momentum Momentum of SGD. Default: 0.9',
        '--weight-decay Weight decay (L2 for SGD and Adam, decoupled for AdamW). Default: 0',
        '--schedule How the learning rate moves. Default: plateau',
        '--warmup Epochs of linear growth from 0 before the schedule counts fully. Default: 0',
        '--lr-min Where cosine and cyclic_plateau end; the floor of plateau. Default: 0',
        '--lr-peak Epoch at which the cyclic ones reach --lr. Default: a tenth of the epochs',
        '--lr-cycle-end Epoch at which cyclic_plateau reaches --lr-min. Default: 60% of the epochs',
        '--lr-patience Epochs without progress before plateau reduces. Default: 3',
        '--step-size Epochs between reductions of step. Default: 40',
        '--milestones Epochs at which multistep reduces, as 60,80',
        '--gamma Factor of a reduction. Default: 0.5 for plateau, else 0.1',
        '--accumulate Batches whose gradients make one step. Default: 1',
        '--clip-norm Largest norm of the gradient',
        '--draw-labels Train on a label drawn from each image''s distribution, anew each epoch',
        '--teacher Checkpoints whose mean prediction is mixed into the training targets...',
        '--teacher-share Share of the targets that teachers have. Default: 0.5',
        '--mixup Alpha of mixup''s Beta distribution; 0: off. Default: 0',
        '--label-smoothing Share of each target spread over all classes. Default: 0',
        '--class-weights balanced (inverse frequency), none, or name=weight,name=weight. Default: none',
        '--ema Decay of the averaged weights that are evaluated and kept; 0: off. Default: 0',
        '--early-stop Epochs without a new best before the run ends; 0: never. Default: 5',
        '--seed Everything random follows from it. Default: 0',
        '--monitor Validation metric that says which epoch is best. Default: loss',
        '--deterministic On CUDA, only kernels that repeat to the last bit (slower); the CPU''s do...',
        '--checkpoint-every Also save the state every so many steps (200) or minutes (10m)',
        '--keep-epochs Keep the checkpoint of every epoch, that before training (epoch 0) included',
        '--keep-every Keep the checkpoint of every N-th epoch. Default: none',
        '--keep Saved states that are kept, the newest. Default: 2',
        '--calibrate What the temperature is fitted to on the validation split, as far as its...',
        '--repeat Train this many times with seeds SEED, SEED+1, ... Default: 1',
        '--track Also log to Weights & Biases. Default: none',
        '--print-config Print every setting and where it came from, and stop',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['verify-resume'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--mode Modalities that emotions are told by. Default: multimodal',
        '--mask What the mask over the code channels is turned into: 0 private and 1...',
        '--mask-init Where the mask starts: all at --mask-scale, or uniform either side of 0',
        '--mask-scale Size of the mask''s first values. Default: 0.01',
        '--mask-threshold Above it a channel is shared. Default: 0.005',
        '--mask-penalty Weight of the sum of the mask in the loss; 0: off. Default: 0.0001',
        '--quantizer Codes as moving averages of what they stand for, or learned (plain)',
        '--codes Codes of each modality. Default: 512',
        '--hidden Channels of the encoders and decoders. Default: 128',
        '--stage What is trained: all together; the autoencoders alone; the solver alone...',
        '--recon-scale What reconstruction errors are divided by: nothing, as published, or the...',
        '--reset-mask With --init: put the mask back to its first values',
        '--data Folder with the dataset; its layout is found by looking',
        '--labels Table of labels or ratings of the images in --data, if it does not lie there',
        '--test-data Images to test on after training. Default: --data, with --test-labels',
        '--test-labels Table of the labels or ratings of --test-data',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--output Without effect here',
        '--resume Without effect here',
        '--force Without effect here',
        '--val-fraction Share of the training images held out where the data has no validation split',
        '--drop-copies Leave images out of validation and test that are exact copies of images in...',
        '--augment Augmentation preset. Default: face',
        '--fit How an image is brought to the input size. Default: crop',
        '--cache Hold decoded images in memory; auto: where they fit in a quarter of what...',
        '--on-error What a bad image does. Default: fail',
        '--model Model name; any timm backbone; vca, with the defaults of its study',
        '--task What is predicted; auto: classification where the data has labels...',
        '--pretrained Start from the weights on timm''s hub (downloaded once). Default: yes',
        '--no-pretrained Start from the weights on timm''s hub (downloaded once). Default: yes',
        '--init Start from the weights in this file, run folder, or builtin, instead',
        '--init-key Which weights of the --init file are taken, where it holds several: a key...',
        '--tune What learns: all; last: the classifier alone, on a network that stays as...',
        '--image-size Input height and width in pixels. Default: the model''s own',
        '--start-size Shorter side of training images at first; it grows to the input size over...',
        '--channels 3 for RGB, 1 for gray input. Default: 3',
        '--dropout Dropout in front of the last layer. Default: 0.3',
        '--top Classifier on the backbone: linear; mlp: a hidden layer of --top-width...',
        '--top-width Width of the hidden layer of --top mlp. Default: 512',
        '--v1 Components of resnet50_v1: center-surround, local-rf, tuned-norm or...',
        '--clip CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json...',
        '--clip-weights CLIP''s weights: a tag of open_clip (fetched once), a file, or random',
        '--clip-activation Activation that CLIP was trained with; a file does not tell. Default: auto',
        '--clip-normalise Normalise images by CLIP''s mean and std, which the published VCA does not',
        '--include-clip Save CLIP''s weights in checkpoints, not their name and hash alone',
        '--outputs Which ratings are predicted. Default: both',
        '--views Augmented views of each training image whose CLIP features are computed...',
        '--epochs Without effect here. Default: 2, always',
        '--loss One of mse, l1, kl, ce, js, for ratings vca, mse, l1, ccc; or a weighted...',
        '--optimizer Optimiser. Default: adam',
        '--lr Learning rate. Default: 0.001',
        '--momentum Momentum of SGD. Default: 0.9',
        '--weight-decay Weight decay (L2 for SGD and Adam, decoupled for AdamW). Default: 0',
        '--schedule How the learning rate moves. Default: plateau',
        '--warmup Epochs of linear growth from 0 before the schedule counts fully. Default: 0',
        '--lr-min Where cosine and cyclic_plateau end; the floor of plateau. Default: 0',
        '--lr-peak Epoch at which the cyclic ones reach --lr. Default: a tenth of the epochs',
        '--lr-cycle-end Epoch at which cyclic_plateau reaches --lr-min. Default: 60% of the epochs',
        '--lr-patience Epochs without progress before plateau reduces. Default: 3',
        '--step-size Epochs between reductions of step. Default: 40',
        '--milestones Epochs at which multistep reduces, as 60,80',
        '--gamma Factor of a reduction. Default: 0.5 for plateau, else 0.1',
        '--accumulate Batches whose gradients make one step. Default: 1',
        '--clip-norm Largest norm of the gradient',
        '--draw-labels Train on a label drawn from each image''s distribution, anew each epoch',
        '--teacher Checkpoints whose mean prediction is mixed into the training targets...',
        '--teacher-share Share of the targets that teachers have. Default: 0.5',
        '--mixup Alpha of mixup''s Beta distribution; 0: off. Default: 0',
        '--label-smoothing Share of each target spread over all classes. Default: 0',
        '--class-weights balanced (inverse frequency), none, or name=weight,name=weight. Default: none',
        '--ema Decay of the averaged weights that are evaluated and kept; 0: off. Default: 0',
        '--early-stop Epochs without a new best before the run ends; 0: never. Default: 5',
        '--seed Everything random follows from it. Default: 0',
        '--monitor Validation metric that says which epoch is best. Default: loss',
        '--deterministic On CUDA, only kernels that repeat to the last bit (slower); the CPU''s do...',
        '--checkpoint-every Without effect here. Default: 1, always',
        '--keep-epochs Keep the checkpoint of every epoch, that before training (epoch 0) included',
        '--keep-every Keep the checkpoint of every N-th epoch. Default: none',
        '--keep Without effect here. Default: 2',
        '--calibrate What the temperature is fitted to on the validation split, as far as its...',
        '--repeat Without effect here. Default: 1',
        '--track Without effect here. Default: none',
        '--steps Optimiser steps of each short run, over two epochs. Default: 6',
        '--images At most so many training images. Default: what the steps need',
        '--keep-files Keep the folders of the short runs in this new folder',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['test'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--checkpoint Checkpoint file, a run folder (its best model), or builtin',
        '--data Folder with the dataset; its layout is found by looking',
        '--labels Table of labels or ratings of the images in --data, if it does not lie there',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--clip-weights File with the CLIP weights of a vca checkpoint; they must be the ones that...',
        '--mode Modalities of a published CM-VQVAE, whose file does not hold it',
        '--mask Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer',
        '--split Split to test on; all takes a --labels table whole, as is one without a...',
        '--on-error What a bad image does. Default: fail',
        '--alter Corrupt the images first: any name of affectkit corruptions, as fog:3...',
        '--fit How an image is brought to the input size. Default: the checkpoint''s',
        '--drop-copies Leave images out that are exact copies of images in an earlier split of --data',
        '--results Folder for tables and pictures',
        '--force Write into a --results that is not empty',
        '--fail-under Exit 3 where a metric is worse: metric=value,metric=value',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['eval-corruptions'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--checkpoint Checkpoint file, a run folder (its best model), or builtin',
        '--data Folder with the dataset; its layout is found by looking',
        '--labels Table of labels or ratings of the images in --data, if it does not lie there',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--clip-weights File with the CLIP weights of a vca checkpoint; they must be the ones that...',
        '--mode Modalities of a published CM-VQVAE, whose file does not hold it',
        '--mask Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer',
        '--split Split to test on; all takes a --labels table whole, as is one without a...',
        '--on-error What a bad image does. Default: fail',
        '--cache Hold decoded images in memory; auto: where they fit in a quarter of what...',
        '--fit How an image is brought to the input size. Default: the checkpoint''s',
        '--corruptions benchmark (the fifteen), validation (the four held out), all (both)...',
        '--severities Severities, as 1-5 or 1,3,5. Default: 1-5',
        '--scale Benchmark whose parameters are taken; auto: by the shorter side of the...',
        '--corrupted-root Read images already corrupted: CORRUPTION/SEVERITY/CLASS/*, as Tiny-ImageNet-C',
        '--frost-textures Folder with photographs of frost. Default: textures that are computed',
        '--save-images Also write the corrupted images there, as --corrupted-root reads them (PNG)',
        '--seed Everything random follows from it. Default: 0',
        '--baseline Results of another model, for mCE: its corruptions.csv, or a...',
        '--results Folder for tables and pictures; run again, the command goes on there',
        '--force Compute rows anew that are in --results, whatever is there',
        '--fail-under Exit 3 where a mean over the corruptions is worse, or mce, relative_mce...',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['corruptions'] = @(
        '--preview Draw IMAGE under each corruption at five severities: a PNG file',
        '--corruptions benchmark (the fifteen), validation (the four held out), all (both)...',
        '--scale Benchmark whose parameters are taken; auto: by --size. Default: auto',
        '--size Side in pixels that IMAGE is brought to first. Default: 224',
        '--seed Everything random follows from it. Default: 0',
        '--frost-textures Folder with photographs of frost. Default: textures that are computed',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--force Replace the file of --preview',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['probe'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--checkpoint Checkpoint file, a run folder (its best model), or builtin',
        '--data Folder with the dataset; its layout is found by looking',
        '--labels Table of labels or ratings of the images in --data, if it does not lie there',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--clip-weights File with the CLIP weights of a vca checkpoint; they must be the ones that...',
        '--mode Modalities of a published CM-VQVAE, whose file does not hold it',
        '--mask Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer',
        '--split Split to test on; all takes a --labels table whole, as is one without a...',
        '--on-error What a bad image does. Default: fail',
        '--results Folder for the pictures, the table and the sounds',
        '--force Write into a --results that is not empty',
        '--clips Clips that are drawn, evenly over the split. Default: 8',
        '--sound Also write what the spectrograms of those clips sound like (Griffin-Lim...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['infer'] = @(
        '--device auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto',
        '--precision Number format of the forward pass. Default: auto',
        '--compile Compile the model with torch''s compiler before the first batch',
        '--batch-size Images in a batch, over all processes. Default: 32',
        '--workers Workers that decode images, for each process. Default: chosen by the data',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--checkpoint Checkpoint file, a run folder (its best model), or builtin. Default: builtin',
        '--results Folder for the result table. Default: rows go to standard output',
        '--labels Table of labels or ratings of the images of one folder: they are tested, too',
        '--classes The classes, of a table that does not tell them by what it holds: its...',
        '--ignore-columns Columns of a table that are passed over. Default: none',
        '--follow-links Read files of a table through links that lead out of its folder; those of...',
        '--rating-range Least and greatest rating that can be given, as 1,9; others are refused',
        '--clip-weights File with the CLIP weights of a vca checkpoint; they must be the ones that...',
        '--mode Modalities of a published CM-VQVAE, whose file does not hold it',
        '--mask Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer',
        '--fit How an image is brought to the input size. Default: the checkpoint''s',
        '--faces Find faces and predict each: auto (a picture that is a face crop is taken...',
        '--annotate Draw faces and predictions: into this folder, for a film into this file or...',
        '--every How often a film is looked at: seconds, as 0.5s, or frames, as 15; given...',
        '--smooth Seconds over which the outputs of a face in a film are averaged; 0: not at all',
        '--camera Look at this camera, until Ctrl-C',
        '--seconds End after so long, of a camera or of each film. Default: all',
        '--format Format of the rows. Default: csv',
        '--recursive Look into sub-folders too',
        '--shard Predict every N-th image alone, as the I-th of N runs; affectkit merge...',
        '--resume Continue the table in --results, or bring a finished one up to date',
        '--force Replace the table in --results',
        '--on-error What a bad image does. Default: skip',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['merge'] = @(
        '--force Replace another result table in the folder (infer)',
        '--remove-parts Remove the parts once they are put together (prep always does)',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['quantiles'] = @(
        '--actual Column of the actual values, by which the bins are made. Default: Actual',
        '--predicted Column of the predicted values. Default: Predicted',
        '--bins Bins of equal count. Default: 25',
        '--results Folder for quantiles.csv, quantiles.png and summary.json',
        '--force Write into a --results that is not empty',
        '--fail-under Exit 3 where a file misses a bound over its bin means: r and r2 at least...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['convert'] = @(
        '--outputs What a model with one output was trained on; its file does not say',
        '--clip-weights What the CLIP in the file is compared with: openai (fetched where need...',
        '--mode Modalities of a published CM-VQVAE, whose file does not hold it',
        '--mask Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer',
        '--half Of affectkit''s own checkpoint: write its weights in half precision',
        '--force Replace OUTPUT',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['models'] = @(
        '--checkpoint Show what is in this checkpoint or run folder instead',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['pull'] = @(
        '--output Folder for the files. Default: the current folder',
        '--file Fetch these files of the record alone',
        '--list List the files and fetch none',
        '--checksum What the file at https://... must have; a record brings its own',
        '--force Replace files of other content',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['cache'] = @(
        '--clear Remove the named stores, or all where none is named',
        '--older-than Those alone that were last used so many days ago',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['demo'] = @(
        '--epochs Epochs of training. Default: 8',
        '--device auto, cpu, cuda, cuda:N or mps. Default: auto',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['doctor'] = @(
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['completions'] = @(
        '--write Write the scripts of all shells into this folder instead',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep'] = @('--help Show this message and exit', '-h Show this message and exit')
    $options['prep cremad'] = @(
        '--output Folder to make: tables, statistics and the store of clips',
        '--seed The split follows from it. Default: 0',
        '--workers Processes that decode clips. Default: one a processor',
        '--on-error What a clip that cannot be used does. Default: fail',
        '--drop-copies Leave clips out of validation and test that are exact copies of clips in...',
        '--split actor: no actor in two parts; random; published-sizes: 5954, 744 and 744...',
        '--sizes Sizes of the parts for published-sizes',
        '--keep-faulty Also take the four clips that are known to be faulty',
        '--frames window: the 31 frames around the middle; middle: that one alone',
        '--labels intended: the emotion that was acted; votes: shares of the votes of those...',
        '--sound-level As the published code reads the sound, or unit: full scale 1, for models...',
        '--size Height and width of the stored frames in pixels. Default: 128',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep rml'] = @(
        '--output Folder to make: tables, statistics and the store of clips',
        '--seed The split follows from it. Default: 0',
        '--workers Processes that decode clips. Default: one a processor',
        '--on-error What a clip that cannot be used does. Default: fail',
        '--drop-copies Leave clips out of validation and test that are exact copies of clips in...',
        '--split user: nobody in two parts; random; or a CSV file with the columns filename...',
        '--modify Give each clip a skin hue, a pitch, or both, drawn by its name: features...',
        '--label What is to be told. Default: emotion',
        '--sound rml: 256x256 of the central 2.5 s; pretrained: 512x512 and whole frames...',
        '--sound-level As the published code reads the sound, or unit: full scale 1, for models...',
        '--size Height and width of the stored frames in pixels. Default: 128',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep emovoxceleb'] = @(
        '--output Folder to make: tables, statistics and the store of clips',
        '--seed The split follows from it. Default: 0',
        '--workers Processes that decode clips. Default: one a processor',
        '--on-error What a clip that cannot be used does. Default: fail',
        '--drop-copies Leave clips out of validation and test that are exact copies of clips in...',
        '--split speaker: nobody in two parts; random; or a CSV file with the columns...',
        '--values What labels.csv holds; auto: shares where all rows are such. Default: auto',
        '--follow-links Read files through links that lead out of the folder; those of git-annex...',
        '--size Height and width of the stored frames in pixels. Default: 128',
        '--max-pixels Largest width x height of a picture, as 200M',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep av-features'] = @(
        '--output Folder to make: tables, statistics and the store of clips',
        '--seed The split follows from it. Default: 0',
        '--workers Processes that decode clips. Default: one a processor',
        '--on-error What a clip that cannot be used does. Default: fail',
        '--drop-copies Leave clips out of validation and test that are exact copies of clips in...',
        '--split table: the column split of features.csv; user: nobody in two parts...',
        '--follow-links Read files through links that lead out of the folder; those of git-annex...',
        '--layer Layer of the audio features, from 1, where a file holds several. Default: 7',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep ferplus'] = @(
        '--output Folder to make: tables and images',
        '--link How image files get there. Default: copy',
        '--drop-copies Leave images out of validation and test that are exact copies of images in...',
        '--shard Write every N-th image alone, as the I-th of N runs; affectkit merge...',
        '--target distribution: remaining votes of eight emotions; majority: images with a...',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep affectnet-fused'] = @(
        '--output Folder to make: tables and images',
        '--link How image files get there. Default: copy',
        '--drop-copies Leave images out of validation and test that are exact copies of images in...',
        '--shard Write every N-th image alone, as the I-th of N runs; affectkit merge...',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['prep schematic'] = @(
        '--train Training faces. Default: 800',
        '--valid Validation faces. Default: 160',
        '--test Test faces. Default: 160',
        '--size Height and width in pixels. Default: 64',
        '--seed Everything random follows from it. Default: 0',
        '--shard Write every N-th image alone, as the I-th of N runs; affectkit merge...',
        '--slurm Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['pipeline'] = @('--help Show this message and exit', '-h Show this message and exit')
    $options['pipeline show'] = @(
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    $options['pipeline save'] = @(
        '--force Replace a file that is there',
        '--config YAML file with settings; flags win over it',
        '--json Print one JSON object as the result',
        '--quiet No progress and no notes; warnings stay',
        '-q No progress and no notes; warnings stay',
        '--debug Show the traceback of an error',
        '--help Show this message and exit',
        '-h Show this message and exit')
    # Options with values: how many follow, and what they are.
    $valued = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    $valued['datasplit --output-path'] = @(1, 'files')
    $valued['datasplit --train-split'] = @(1, 'none')
    $valued['datasplit --seed'] = @(1, 'none')
    $valued['datasplit --group-by'] = @(1, 'none')
    $valued['datasplit --on-error'] = @(1, 'words 1')
    $valued['datasplit --global-multiplier'] = @(1, 'none')
    $valued['datasplit --pipeline-yaml'] = @(1, 'files')
    $valued['datasplit --quality'] = @(1, 'none')
    $valued['datasplit --preview'] = @(1, 'files')
    $valued['datasplit --link'] = @(1, 'words 2')
    $valued['datasplit --label-col'] = @(1, 'none')
    $valued['datasplit --filename-col'] = @(1, 'none')
    $valued['datasplit --workers'] = @(1, 'none')
    $valued['datasplit --max-pixels'] = @(1, 'none')
    $valued['datasplit --scheduler'] = @(1, 'none')
    $valued['datasplit --slurm'] = @(1, 'none')
    $valued['datasplit --config'] = @(1, 'files')
    $valued['relabel --labels-csv'] = @(1, 'files')
    $valued['relabel --output-path'] = @(1, 'files')
    $valued['relabel --slurm'] = @(1, 'none')
    $valued['relabel --config'] = @(1, 'files')
    $valued['train --device'] = @(1, 'words 3')
    $valued['train --precision'] = @(1, 'words 4')
    $valued['train --batch-size'] = @(1, 'none')
    $valued['train --workers'] = @(1, 'none')
    $valued['train --max-pixels'] = @(1, 'none')
    $valued['train --mode'] = @(1, 'words 5')
    $valued['train --mask'] = @(1, 'words 6')
    $valued['train --mask-init'] = @(1, 'words 7')
    $valued['train --mask-scale'] = @(1, 'none')
    $valued['train --mask-threshold'] = @(1, 'none')
    $valued['train --mask-penalty'] = @(1, 'none')
    $valued['train --quantizer'] = @(1, 'words 8')
    $valued['train --codes'] = @(1, 'none')
    $valued['train --hidden'] = @(1, 'none')
    $valued['train --stage'] = @(1, 'words 9')
    $valued['train --recon-scale'] = @(1, 'words 10')
    $valued['train --data'] = @(1, 'files')
    $valued['train --labels'] = @(1, 'files')
    $valued['train --test-data'] = @(1, 'files')
    $valued['train --test-labels'] = @(1, 'files')
    $valued['train --classes'] = @(1, 'none')
    $valued['train --ignore-columns'] = @(1, 'none')
    $valued['train --rating-range'] = @(1, 'none')
    $valued['train --output'] = @(1, 'files')
    $valued['train --resume'] = @(1, 'files')
    $valued['train --val-fraction'] = @(1, 'none')
    $valued['train --augment'] = @(1, 'words 11')
    $valued['train --fit'] = @(1, 'words 12')
    $valued['train --cache'] = @(1, 'words 13')
    $valued['train --on-error'] = @(1, 'words 1')
    $valued['train --model'] = @(1, 'words 14')
    $valued['train --task'] = @(1, 'words 15')
    $valued['train --init'] = @(1, 'files')
    $valued['train --init-key'] = @(1, 'none')
    $valued['train --tune'] = @(1, 'words 16')
    $valued['train --image-size'] = @(1, 'none')
    $valued['train --start-size'] = @(1, 'none')
    $valued['train --channels'] = @(1, 'none')
    $valued['train --dropout'] = @(1, 'none')
    $valued['train --top'] = @(1, 'words 17')
    $valued['train --top-width'] = @(1, 'none')
    $valued['train --v1'] = @(1, 'none')
    $valued['train --clip'] = @(1, 'words 18')
    $valued['train --clip-weights'] = @(1, 'files')
    $valued['train --clip-activation'] = @(1, 'words 19')
    $valued['train --outputs'] = @(1, 'words 20')
    $valued['train --views'] = @(1, 'none')
    $valued['train --epochs'] = @(1, 'none')
    $valued['train --loss'] = @(1, 'words 21')
    $valued['train --optimizer'] = @(1, 'words 22')
    $valued['train --lr'] = @(1, 'none')
    $valued['train --momentum'] = @(1, 'none')
    $valued['train --weight-decay'] = @(1, 'none')
    $valued['train --schedule'] = @(1, 'words 23')
    $valued['train --warmup'] = @(1, 'none')
    $valued['train --lr-min'] = @(1, 'none')
    $valued['train --lr-peak'] = @(1, 'none')
    $valued['train --lr-cycle-end'] = @(1, 'none')
    $valued['train --lr-patience'] = @(1, 'none')
    $valued['train --step-size'] = @(1, 'none')
    $valued['train --milestones'] = @(1, 'none')
    $valued['train --gamma'] = @(1, 'none')
    $valued['train --accumulate'] = @(1, 'none')
    $valued['train --clip-norm'] = @(1, 'none')
    $valued['train --teacher'] = @(1, 'none')
    $valued['train --teacher-share'] = @(1, 'none')
    $valued['train --mixup'] = @(1, 'none')
    $valued['train --label-smoothing'] = @(1, 'none')
    $valued['train --class-weights'] = @(1, 'none')
    $valued['train --ema'] = @(1, 'none')
    $valued['train --early-stop'] = @(1, 'none')
    $valued['train --seed'] = @(1, 'none')
    $valued['train --monitor'] = @(1, 'none')
    $valued['train --checkpoint-every'] = @(1, 'none')
    $valued['train --keep-every'] = @(1, 'none')
    $valued['train --keep'] = @(1, 'none')
    $valued['train --calibrate'] = @(1, 'words 24')
    $valued['train --repeat'] = @(1, 'none')
    $valued['train --track'] = @(1, 'words 25')
    $valued['train --slurm'] = @(1, 'none')
    $valued['train --config'] = @(1, 'files')
    $valued['verify-resume --device'] = @(1, 'words 3')
    $valued['verify-resume --precision'] = @(1, 'words 4')
    $valued['verify-resume --batch-size'] = @(1, 'none')
    $valued['verify-resume --workers'] = @(1, 'none')
    $valued['verify-resume --max-pixels'] = @(1, 'none')
    $valued['verify-resume --mode'] = @(1, 'words 5')
    $valued['verify-resume --mask'] = @(1, 'words 6')
    $valued['verify-resume --mask-init'] = @(1, 'words 7')
    $valued['verify-resume --mask-scale'] = @(1, 'none')
    $valued['verify-resume --mask-threshold'] = @(1, 'none')
    $valued['verify-resume --mask-penalty'] = @(1, 'none')
    $valued['verify-resume --quantizer'] = @(1, 'words 8')
    $valued['verify-resume --codes'] = @(1, 'none')
    $valued['verify-resume --hidden'] = @(1, 'none')
    $valued['verify-resume --stage'] = @(1, 'words 9')
    $valued['verify-resume --recon-scale'] = @(1, 'words 10')
    $valued['verify-resume --data'] = @(1, 'files')
    $valued['verify-resume --labels'] = @(1, 'files')
    $valued['verify-resume --test-data'] = @(1, 'files')
    $valued['verify-resume --test-labels'] = @(1, 'files')
    $valued['verify-resume --classes'] = @(1, 'none')
    $valued['verify-resume --ignore-columns'] = @(1, 'none')
    $valued['verify-resume --rating-range'] = @(1, 'none')
    $valued['verify-resume --output'] = @(1, 'files')
    $valued['verify-resume --resume'] = @(1, 'files')
    $valued['verify-resume --val-fraction'] = @(1, 'none')
    $valued['verify-resume --augment'] = @(1, 'words 11')
    $valued['verify-resume --fit'] = @(1, 'words 12')
    $valued['verify-resume --cache'] = @(1, 'words 13')
    $valued['verify-resume --on-error'] = @(1, 'words 1')
    $valued['verify-resume --model'] = @(1, 'words 14')
    $valued['verify-resume --task'] = @(1, 'words 15')
    $valued['verify-resume --init'] = @(1, 'files')
    $valued['verify-resume --init-key'] = @(1, 'none')
    $valued['verify-resume --tune'] = @(1, 'words 16')
    $valued['verify-resume --image-size'] = @(1, 'none')
    $valued['verify-resume --start-size'] = @(1, 'none')
    $valued['verify-resume --channels'] = @(1, 'none')
    $valued['verify-resume --dropout'] = @(1, 'none')
    $valued['verify-resume --top'] = @(1, 'words 17')
    $valued['verify-resume --top-width'] = @(1, 'none')
    $valued['verify-resume --v1'] = @(1, 'none')
    $valued['verify-resume --clip'] = @(1, 'words 18')
    $valued['verify-resume --clip-weights'] = @(1, 'files')
    $valued['verify-resume --clip-activation'] = @(1, 'words 19')
    $valued['verify-resume --outputs'] = @(1, 'words 20')
    $valued['verify-resume --views'] = @(1, 'none')
    $valued['verify-resume --epochs'] = @(1, 'none')
    $valued['verify-resume --loss'] = @(1, 'words 21')
    $valued['verify-resume --optimizer'] = @(1, 'words 22')
    $valued['verify-resume --lr'] = @(1, 'none')
    $valued['verify-resume --momentum'] = @(1, 'none')
    $valued['verify-resume --weight-decay'] = @(1, 'none')
    $valued['verify-resume --schedule'] = @(1, 'words 23')
    $valued['verify-resume --warmup'] = @(1, 'none')
    $valued['verify-resume --lr-min'] = @(1, 'none')
    $valued['verify-resume --lr-peak'] = @(1, 'none')
    $valued['verify-resume --lr-cycle-end'] = @(1, 'none')
    $valued['verify-resume --lr-patience'] = @(1, 'none')
    $valued['verify-resume --step-size'] = @(1, 'none')
    $valued['verify-resume --milestones'] = @(1, 'none')
    $valued['verify-resume --gamma'] = @(1, 'none')
    $valued['verify-resume --accumulate'] = @(1, 'none')
    $valued['verify-resume --clip-norm'] = @(1, 'none')
    $valued['verify-resume --teacher'] = @(1, 'none')
    $valued['verify-resume --teacher-share'] = @(1, 'none')
    $valued['verify-resume --mixup'] = @(1, 'none')
    $valued['verify-resume --label-smoothing'] = @(1, 'none')
    $valued['verify-resume --class-weights'] = @(1, 'none')
    $valued['verify-resume --ema'] = @(1, 'none')
    $valued['verify-resume --early-stop'] = @(1, 'none')
    $valued['verify-resume --seed'] = @(1, 'none')
    $valued['verify-resume --monitor'] = @(1, 'none')
    $valued['verify-resume --checkpoint-every'] = @(1, 'none')
    $valued['verify-resume --keep-every'] = @(1, 'none')
    $valued['verify-resume --keep'] = @(1, 'none')
    $valued['verify-resume --calibrate'] = @(1, 'words 24')
    $valued['verify-resume --repeat'] = @(1, 'none')
    $valued['verify-resume --track'] = @(1, 'words 25')
    $valued['verify-resume --steps'] = @(1, 'none')
    $valued['verify-resume --images'] = @(1, 'none')
    $valued['verify-resume --keep-files'] = @(1, 'files')
    $valued['verify-resume --config'] = @(1, 'files')
    $valued['test --device'] = @(1, 'words 3')
    $valued['test --precision'] = @(1, 'words 4')
    $valued['test --batch-size'] = @(1, 'none')
    $valued['test --workers'] = @(1, 'none')
    $valued['test --max-pixels'] = @(1, 'none')
    $valued['test --checkpoint'] = @(1, 'files')
    $valued['test --data'] = @(1, 'files')
    $valued['test --labels'] = @(1, 'files')
    $valued['test --classes'] = @(1, 'none')
    $valued['test --ignore-columns'] = @(1, 'none')
    $valued['test --rating-range'] = @(1, 'none')
    $valued['test --clip-weights'] = @(1, 'files')
    $valued['test --mode'] = @(1, 'words 5')
    $valued['test --mask'] = @(1, 'words 6')
    $valued['test --split'] = @(1, 'words 26')
    $valued['test --on-error'] = @(1, 'words 1')
    $valued['test --alter'] = @(1, 'words 27')
    $valued['test --fit'] = @(1, 'words 12')
    $valued['test --results'] = @(1, 'files')
    $valued['test --fail-under'] = @(1, 'none')
    $valued['test --slurm'] = @(1, 'none')
    $valued['test --config'] = @(1, 'files')
    $valued['eval-corruptions --device'] = @(1, 'words 3')
    $valued['eval-corruptions --precision'] = @(1, 'words 4')
    $valued['eval-corruptions --batch-size'] = @(1, 'none')
    $valued['eval-corruptions --workers'] = @(1, 'none')
    $valued['eval-corruptions --max-pixels'] = @(1, 'none')
    $valued['eval-corruptions --checkpoint'] = @(1, 'files')
    $valued['eval-corruptions --data'] = @(1, 'files')
    $valued['eval-corruptions --labels'] = @(1, 'files')
    $valued['eval-corruptions --classes'] = @(1, 'none')
    $valued['eval-corruptions --ignore-columns'] = @(1, 'none')
    $valued['eval-corruptions --rating-range'] = @(1, 'none')
    $valued['eval-corruptions --clip-weights'] = @(1, 'files')
    $valued['eval-corruptions --mode'] = @(1, 'words 5')
    $valued['eval-corruptions --mask'] = @(1, 'words 6')
    $valued['eval-corruptions --split'] = @(1, 'words 26')
    $valued['eval-corruptions --on-error'] = @(1, 'words 1')
    $valued['eval-corruptions --cache'] = @(1, 'words 13')
    $valued['eval-corruptions --fit'] = @(1, 'words 12')
    $valued['eval-corruptions --corruptions'] = @(1, 'words 28')
    $valued['eval-corruptions --severities'] = @(1, 'none')
    $valued['eval-corruptions --scale'] = @(1, 'words 29')
    $valued['eval-corruptions --corrupted-root'] = @(1, 'files')
    $valued['eval-corruptions --frost-textures'] = @(1, 'files')
    $valued['eval-corruptions --save-images'] = @(1, 'files')
    $valued['eval-corruptions --seed'] = @(1, 'none')
    $valued['eval-corruptions --baseline'] = @(1, 'files')
    $valued['eval-corruptions --results'] = @(1, 'files')
    $valued['eval-corruptions --fail-under'] = @(1, 'none')
    $valued['eval-corruptions --slurm'] = @(1, 'none')
    $valued['eval-corruptions --config'] = @(1, 'files')
    $valued['corruptions --preview'] = @(1, 'files')
    $valued['corruptions --corruptions'] = @(1, 'words 28')
    $valued['corruptions --scale'] = @(1, 'words 29')
    $valued['corruptions --size'] = @(1, 'none')
    $valued['corruptions --seed'] = @(1, 'none')
    $valued['corruptions --frost-textures'] = @(1, 'files')
    $valued['corruptions --max-pixels'] = @(1, 'none')
    $valued['corruptions --config'] = @(1, 'files')
    $valued['probe --device'] = @(1, 'words 3')
    $valued['probe --precision'] = @(1, 'words 4')
    $valued['probe --batch-size'] = @(1, 'none')
    $valued['probe --workers'] = @(1, 'none')
    $valued['probe --max-pixels'] = @(1, 'none')
    $valued['probe --checkpoint'] = @(1, 'files')
    $valued['probe --data'] = @(1, 'files')
    $valued['probe --labels'] = @(1, 'files')
    $valued['probe --classes'] = @(1, 'none')
    $valued['probe --ignore-columns'] = @(1, 'none')
    $valued['probe --rating-range'] = @(1, 'none')
    $valued['probe --clip-weights'] = @(1, 'files')
    $valued['probe --mode'] = @(1, 'words 5')
    $valued['probe --mask'] = @(1, 'words 6')
    $valued['probe --split'] = @(1, 'words 26')
    $valued['probe --on-error'] = @(1, 'words 1')
    $valued['probe --results'] = @(1, 'files')
    $valued['probe --clips'] = @(1, 'none')
    $valued['probe --config'] = @(1, 'files')
    $valued['infer --device'] = @(1, 'words 3')
    $valued['infer --precision'] = @(1, 'words 4')
    $valued['infer --batch-size'] = @(1, 'none')
    $valued['infer --workers'] = @(1, 'none')
    $valued['infer --max-pixels'] = @(1, 'none')
    $valued['infer --checkpoint'] = @(1, 'files')
    $valued['infer --results'] = @(1, 'files')
    $valued['infer --labels'] = @(1, 'files')
    $valued['infer --classes'] = @(1, 'none')
    $valued['infer --ignore-columns'] = @(1, 'none')
    $valued['infer --rating-range'] = @(1, 'none')
    $valued['infer --clip-weights'] = @(1, 'files')
    $valued['infer --mode'] = @(1, 'words 5')
    $valued['infer --mask'] = @(1, 'words 6')
    $valued['infer --fit'] = @(1, 'words 12')
    $valued['infer --faces'] = @(1, 'none')
    $valued['infer --annotate'] = @(1, 'files')
    $valued['infer --every'] = @(1, 'none')
    $valued['infer --smooth'] = @(1, 'none')
    $valued['infer --camera'] = @(1, 'none')
    $valued['infer --seconds'] = @(1, 'none')
    $valued['infer --format'] = @(1, 'words 30')
    $valued['infer --shard'] = @(1, 'none')
    $valued['infer --on-error'] = @(1, 'words 1')
    $valued['infer --slurm'] = @(1, 'none')
    $valued['infer --config'] = @(1, 'files')
    $valued['merge --config'] = @(1, 'files')
    $valued['quantiles --actual'] = @(1, 'none')
    $valued['quantiles --predicted'] = @(1, 'none')
    $valued['quantiles --bins'] = @(1, 'none')
    $valued['quantiles --results'] = @(1, 'files')
    $valued['quantiles --fail-under'] = @(1, 'none')
    $valued['quantiles --config'] = @(1, 'files')
    $valued['convert --outputs'] = @(1, 'words 31')
    $valued['convert --clip-weights'] = @(1, 'files')
    $valued['convert --mode'] = @(1, 'words 5')
    $valued['convert --mask'] = @(1, 'words 6')
    $valued['convert --config'] = @(1, 'files')
    $valued['models --checkpoint'] = @(1, 'files')
    $valued['models --config'] = @(1, 'files')
    $valued['pull --output'] = @(1, 'files')
    $valued['pull --file'] = @(1, 'none')
    $valued['pull --checksum'] = @(1, 'none')
    $valued['pull --config'] = @(1, 'files')
    $valued['cache --older-than'] = @(1, 'none')
    $valued['cache --config'] = @(1, 'files')
    $valued['demo --epochs'] = @(1, 'none')
    $valued['demo --device'] = @(1, 'words 3')
    $valued['demo --config'] = @(1, 'files')
    $valued['doctor --config'] = @(1, 'files')
    $valued['completions --write'] = @(1, 'files')
    $valued['completions --config'] = @(1, 'files')
    $valued['prep cremad --output'] = @(1, 'files')
    $valued['prep cremad --seed'] = @(1, 'none')
    $valued['prep cremad --workers'] = @(1, 'none')
    $valued['prep cremad --on-error'] = @(1, 'words 1')
    $valued['prep cremad --split'] = @(1, 'none')
    $valued['prep cremad --sizes'] = @(1, 'none')
    $valued['prep cremad --frames'] = @(1, 'words 33')
    $valued['prep cremad --labels'] = @(1, 'words 34')
    $valued['prep cremad --sound-level'] = @(1, 'words 35')
    $valued['prep cremad --size'] = @(1, 'none')
    $valued['prep cremad --slurm'] = @(1, 'none')
    $valued['prep cremad --config'] = @(1, 'files')
    $valued['prep rml --output'] = @(1, 'files')
    $valued['prep rml --seed'] = @(1, 'none')
    $valued['prep rml --workers'] = @(1, 'none')
    $valued['prep rml --on-error'] = @(1, 'words 1')
    $valued['prep rml --split'] = @(1, 'none')
    $valued['prep rml --modify'] = @(1, 'words 36')
    $valued['prep rml --label'] = @(1, 'words 37')
    $valued['prep rml --sound'] = @(1, 'words 38')
    $valued['prep rml --sound-level'] = @(1, 'words 35')
    $valued['prep rml --size'] = @(1, 'none')
    $valued['prep rml --slurm'] = @(1, 'none')
    $valued['prep rml --config'] = @(1, 'files')
    $valued['prep emovoxceleb --output'] = @(1, 'files')
    $valued['prep emovoxceleb --seed'] = @(1, 'none')
    $valued['prep emovoxceleb --workers'] = @(1, 'none')
    $valued['prep emovoxceleb --on-error'] = @(1, 'words 1')
    $valued['prep emovoxceleb --split'] = @(1, 'none')
    $valued['prep emovoxceleb --values'] = @(1, 'words 39')
    $valued['prep emovoxceleb --size'] = @(1, 'none')
    $valued['prep emovoxceleb --max-pixels'] = @(1, 'none')
    $valued['prep emovoxceleb --slurm'] = @(1, 'none')
    $valued['prep emovoxceleb --config'] = @(1, 'files')
    $valued['prep av-features --output'] = @(1, 'files')
    $valued['prep av-features --seed'] = @(1, 'none')
    $valued['prep av-features --workers'] = @(1, 'none')
    $valued['prep av-features --on-error'] = @(1, 'words 1')
    $valued['prep av-features --split'] = @(1, 'none')
    $valued['prep av-features --layer'] = @(1, 'none')
    $valued['prep av-features --slurm'] = @(1, 'none')
    $valued['prep av-features --config'] = @(1, 'files')
    $valued['prep ferplus --output'] = @(1, 'files')
    $valued['prep ferplus --link'] = @(1, 'words 40')
    $valued['prep ferplus --shard'] = @(1, 'none')
    $valued['prep ferplus --target'] = @(1, 'words 41')
    $valued['prep ferplus --slurm'] = @(1, 'none')
    $valued['prep ferplus --config'] = @(1, 'files')
    $valued['prep affectnet-fused --output'] = @(1, 'files')
    $valued['prep affectnet-fused --link'] = @(1, 'words 40')
    $valued['prep affectnet-fused --shard'] = @(1, 'none')
    $valued['prep affectnet-fused --slurm'] = @(1, 'none')
    $valued['prep affectnet-fused --config'] = @(1, 'files')
    $valued['prep schematic --train'] = @(1, 'none')
    $valued['prep schematic --valid'] = @(1, 'none')
    $valued['prep schematic --test'] = @(1, 'none')
    $valued['prep schematic --size'] = @(1, 'none')
    $valued['prep schematic --seed'] = @(1, 'none')
    $valued['prep schematic --shard'] = @(1, 'none')
    $valued['prep schematic --slurm'] = @(1, 'none')
    $valued['prep schematic --config'] = @(1, 'files')
    $valued['pipeline show --config'] = @(1, 'files')
    $valued['pipeline save --config'] = @(1, 'files')
    # What the arguments of each command are; one with a * takes all that follow.
    $arguments = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    $arguments['datasplit'] = @('files')
    $arguments['relabel'] = @('files')
    $arguments['corruptions'] = @('files')
    $arguments['infer'] = @('files*')
    $arguments['merge'] = @('files')
    $arguments['quantiles'] = @('none*')
    $arguments['convert'] = @('files', 'files')
    $arguments['models'] = @('none')
    $arguments['pull'] = @('none')
    $arguments['cache'] = @('none*')
    $arguments['demo'] = @('files')
    $arguments['completions'] = @('words 32')
    $arguments['prep cremad'] = @('files')
    $arguments['prep rml'] = @('files')
    $arguments['prep emovoxceleb'] = @('files')
    $arguments['prep av-features'] = @('files')
    $arguments['prep ferplus'] = @('files')
    $arguments['prep affectnet-fused'] = @('files')
    $arguments['prep schematic'] = @('files')
    $arguments['pipeline show'] = @('files')
    $arguments['pipeline save'] = @('files')
    $words = New-Object 'System.Collections.Generic.Dictionary[string,object]'
    $words['1'] = @('fail', 'skip')
    $words['2'] = @('copy', 'hardlink', 'symlink', 'reflink')
    $words['3'] = @('auto', 'cpu', 'cuda', 'mps')
    $words['4'] = @('auto', 'fp32', 'tf32', 'bf16', 'fp16')
    $words['5'] = @('multimodal', 'image-only', 'audio-only')
    $words['6'] = @('binarizer', 'ternarizer', 'attention', 'randomizer')
    $words['7'] = @('1s', 'uniform')
    $words['8'] = @('ema', 'plain')
    $words['9'] = @('joint', 'autoencoder', 'solver')
    $words['10'] = @('none', 'variance')
    $words['11'] = @('none', 'flip', 'face', 'face-strong', 'face-crop', 'imagenet', 'vca')
    $words['12'] = @('stretch', 'crop', 'imagenet', 'pad')
    $words['13'] = @('auto', 'ram', 'none')
    $words['14'] = @(
        'resnet18',
        'resnet34',
        'resnet50',
        'resnet101',
        'resnet152',
        'efficientnet_b0',
        'mobilenetv3_small_100',
        'convnext_tiny',
        'vit_small_patch16_224',
        'vit_base_patch16_224',
        'vca',
        'face-seresnet',
        'resnet50_plain',
        'resnet50_center_surround',
        'resnet50_local_rf',
        'resnet50_cortical_magnification',
        'resnet50_tuned_norm',
        'resnet50_div_norm',
        'resnet50_composite_a',
        'resnet50_composite_b',
        'resnet50_composite_c',
        'resnet50_composite_d',
        'resnet50_composite_e',
        'resnet50_composite_f',
        'resnet50_composite_g',
        'resnet50_v1',
        'cmvqvae',
        'cmvqvae-baseline1',
        'cmvqvae-baseline2',
        'cmvqvae-baseline3',
        'cmvqvae-baseline4',
        'cmvqvae-features')
    $words['15'] = @('auto', 'distribution', 'classification', 'audiovisual', 'ratings')
    $words['16'] = @('all', 'last')
    $words['17'] = @('linear', 'mlp', 'vgg', 'vgg-avg')
    $words['18'] = @('ViT-L-14', 'ViT-B-32')
    $words['19'] = @('auto', 'quickgelu', 'gelu')
    $words['20'] = @('both', 'arousal', 'valence')
    $words['21'] = @('mse', 'l1', 'kl', 'ce', 'js', 'vca', 'ccc')
    $words['22'] = @('sgd', 'adam', 'adamw')
    $words['23'] = @(
        'constant',
        'step',
        'multistep',
        'cosine',
        'plateau',
        'cyclic',
        'cyclic_plateau')
    $words['24'] = @('auto', 'labels', 'none')
    $words['25'] = @('none', 'wandb')
    $words['26'] = @('train', 'valid', 'test', 'all')
    $words['27'] = @(
        'gaussian_noise',
        'shot_noise',
        'impulse_noise',
        'defocus_blur',
        'glass_blur',
        'motion_blur',
        'zoom_blur',
        'snow',
        'frost',
        'fog',
        'brightness',
        'contrast',
        'elastic_transform',
        'pixelate',
        'jpeg_compression',
        'speckle_noise',
        'gaussian_blur',
        'spatter',
        'saturate',
        'noise',
        'color',
        'lighting',
        'grayscale',
        'mirror',
        'framing')
    $words['28'] = @(
        'benchmark',
        'validation',
        'all',
        'alterations',
        'gaussian_noise',
        'shot_noise',
        'impulse_noise',
        'defocus_blur',
        'glass_blur',
        'motion_blur',
        'zoom_blur',
        'snow',
        'frost',
        'fog',
        'brightness',
        'contrast',
        'elastic_transform',
        'pixelate',
        'jpeg_compression',
        'speckle_noise',
        'gaussian_blur',
        'spatter',
        'saturate',
        'noise',
        'color',
        'lighting',
        'grayscale',
        'mirror',
        'framing')
    $words['29'] = @('auto', 'cifar', 'tiny', 'imagenet')
    $words['30'] = @('csv', 'jsonl', 'parquet')
    $words['31'] = @('valence', 'arousal')
    $words['32'] = @('bash', 'zsh', 'fish', 'powershell')
    $words['33'] = @('window', 'middle')
    $words['34'] = @('intended', 'votes')
    $words['35'] = @('published', 'unit')
    $words['36'] = @('none', 'skin', 'pitch', 'both')
    $words['37'] = @('emotion', 'skin', 'pitch', 'user')
    $words['38'] = @('rml', 'pretrained')
    $words['39'] = @('auto', 'logits', 'shares')
    $words['40'] = @('copy', 'hardlink')
    $words['41'] = @('distribution', 'majority')

    $path = ''
    $position = 0
    $skip = 0
    $kind = 'none'
    $ended = $false
    foreach ($element in @($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $token = $element.Extent.Text
        if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) {
            $token = $element.Value
        }
        if ($skip -gt 0) {
            $skip--
        } elseif ($ended) {
            $position++
        } elseif ($token -ceq '--') {
            $ended = $true
        } elseif ($token -like '-?*') {
            if ($valued.ContainsKey("$path $token")) {
                $skip = $valued["$path $token"][0]
                $kind = $valued["$path $token"][1]
            }
        } elseif ($commands.ContainsKey($path) -and
            @($commands[$path] | ForEach-Object { $_.Split(' ')[0] }) -ccontains $token) {
            $path = "$path $token".Trim()
            $position = 0
        } else {
            $position++
        }
    }

    $typed = "$wordToComplete"
    $prefix = ''
    $offers = @()
    if ($skip -eq 0) {
        $kind = 'none'
        if (-not $ended -and $typed -match '^(--[^=]+)=(.*)$') {
            $prefix = $Matches[1] + '='
            $typed = $Matches[2]
            $key = "$path " + $prefix.TrimEnd('=')
            if ($valued.ContainsKey($key)) { $kind = $valued[$key][1] }
        } elseif (-not $ended -and $typed.StartsWith('-')) {
            $offers = $options[$path]
        } elseif ($commands.ContainsKey($path)) {
            $offers = $commands[$path]
        } elseif ($arguments.ContainsKey($path)) {
            $kinds = @($arguments[$path])
            if ($position -lt $kinds.Count) {
                $kind = $kinds[$position].TrimEnd('*')
            } elseif ($kinds[-1].EndsWith('*')) {
                $kind = $kinds[-1].TrimEnd('*')
            }
        }
    }
    if ($kind -eq 'files' -or $kind -eq 'folders') {
        if ($prefix -eq '') { return } # where a script offers nothing, PowerShell offers paths
        [System.Management.Automation.CompletionCompleters]::CompleteFilename($typed) | ForEach-Object {
            New-Object System.Management.Automation.CompletionResult `
                ($prefix + $_.CompletionText), $_.ListItemText, $_.ResultType, $_.ToolTip
        }
        return
    }
    $found = 0
    if ($kind.StartsWith('words ')) {
        foreach ($word in $words[$kind.Substring(6)]) {
            if ($word.StartsWith($typed, [System.StringComparison]::Ordinal)) {
                New-Object System.Management.Automation.CompletionResult `
                    ($prefix + $word), $word, 'ParameterValue', $word
                $found++
            }
        }
    }
    foreach ($offer in $offers) {
        $name, $tip = $offer -split ' ', 2
        if ($name.StartsWith($typed, [System.StringComparison]::Ordinal)) {
            if (-not $tip) { $tip = $name }
            $type = if ($name.StartsWith('-')) { 'ParameterName' } else { 'ParameterValue' }
            New-Object System.Management.Automation.CompletionResult $name, $name, $type, $tip
            $found++
        }
    }
    if ($found -eq 0) { '' } # an empty text keeps PowerShell from offering paths
}
