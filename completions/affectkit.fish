# Completion of affectkit for fish, made by `affectkit completions --write completions`; do not edit.
# To install: copy this file to ~/.config/fish/completions/affectkit.fish

# How many values follow the option $argv[2] of the commands $argv[1].
function __affectkit_takes
    switch "$argv"
        case \
            'datasplit --output-path' 'datasplit --train-split' 'datasplit --seed' 'datasplit --group-by' \
            'datasplit --on-error' 'datasplit --global-multiplier' 'datasplit --pipeline-yaml' \
            'datasplit --quality' 'datasplit --preview' 'datasplit --link' 'datasplit --label-col' \
            'datasplit --filename-col' 'datasplit --workers' 'datasplit --max-pixels' \
            'datasplit --scheduler' 'datasplit --slurm' 'datasplit --config' 'relabel --labels-csv' \
            'relabel --output-path' 'relabel --slurm' 'relabel --config' 'train --device' \
            'train --precision' 'train --batch-size' 'train --workers' 'train --max-pixels' 'train --mode' \
            'train --mask' 'train --mask-init' 'train --mask-scale' 'train --mask-threshold' \
            'train --mask-penalty' 'train --quantizer' 'train --codes' 'train --hidden' 'train --stage' \
            'train --recon-scale' 'train --data' 'train --labels' 'train --test-data' 'train --test-labels' \
            'train --classes' 'train --ignore-columns' 'train --rating-range' 'train --output' \
            'train --resume' 'train --val-fraction' 'train --augment' 'train --fit' 'train --cache' \
            'train --on-error' 'train --model' 'train --task' 'train --init' 'train --init-key' \
            'train --tune' 'train --image-size' 'train --start-size' 'train --channels' 'train --dropout' \
            'train --top' 'train --top-width' 'train --v1' 'train --clip' 'train --clip-weights' \
            'train --clip-activation' 'train --outputs' 'train --views' 'train --epochs' 'train --loss' \
            'train --optimizer' 'train --lr' 'train --momentum' 'train --weight-decay' 'train --schedule' \
            'train --warmup' 'train --lr-min' 'train --lr-peak' 'train --lr-cycle-end' 'train --lr-patience' \
            'train --step-size' 'train --milestones' 'train --gamma' 'train --accumulate' \
            'train --clip-norm' 'train --teacher' 'train --teacher-share' 'train --mixup' \
            'train --label-smoothing' 'train --class-weights' 'train --ema' 'train --early-stop' \
            'train --seed' 'train --monitor' 'train --checkpoint-every' 'train --keep-every' 'train --keep' \
            'train --calibrate' 'train --repeat' 'train --track' 'train --slurm' 'train --config' \
            'verify-resume --device' 'verify-resume --precision' 'verify-resume --batch-size' \
            'verify-resume --workers' 'verify-resume --max-pixels' 'verify-resume --mode' \
            'verify-resume --mask' 'verify-resume --mask-init' 'verify-resume --mask-scale' \
            'verify-resume --mask-threshold' 'verify-resume --mask-penalty' 'verify-resume --quantizer' \
            'verify-resume --codes' 'verify-resume --hidden' 'verify-resume --stage' \
            'verify-resume --recon-scale' 'verify-resume --data' 'verify-resume --labels' \
            'verify-resume --test-data' 'verify-resume --test-labels' 'verify-resume --classes' \
            'verify-resume --ignore-columns' 'verify-resume --rating-range' 'verify-resume --output' \
            'verify-resume --resume' 'verify-resume --val-fraction' 'verify-resume --augment' \
            'verify-resume --fit' 'verify-resume --cache' 'verify-resume --on-error' 'verify-resume --model' \
            'verify-resume --task' 'verify-resume --init' 'verify-resume --init-key' 'verify-resume --tune' \
            'verify-resume --image-size' 'verify-resume --start-size' 'verify-resume --channels' \
            'verify-resume --dropout' 'verify-resume --top' 'verify-resume --top-width' 'verify-resume --v1' \
            'verify-resume --clip' 'verify-resume --clip-weights' 'verify-resume --clip-activation' \
            'verify-resume --outputs' 'verify-resume --views' 'verify-resume --epochs' \
            'verify-resume --loss' 'verify-resume --optimizer' 'verify-resume --lr' \
            'verify-resume --momentum' 'verify-resume --weight-decay' 'verify-resume --schedule' \
            'verify-resume --warmup' 'verify-resume --lr-min' 'verify-resume --lr-peak' \
            'verify-resume --lr-cycle-end' 'verify-resume --lr-patience' 'verify-resume --step-size' \
            'verify-resume --milestones' 'verify-resume --gamma' 'verify-resume --accumulate' \
            'verify-resume --clip-norm' 'verify-resume --teacher' 'verify-resume --teacher-share' \
            'verify-resume --mixup' 'verify-resume --label-smoothing' 'verify-resume --class-weights' \
            'verify-resume --ema' 'verify-resume --early-stop' 'verify-resume --seed' \
            'verify-resume --monitor' 'verify-resume --checkpoint-every' 'verify-resume --keep-every' \
            'verify-resume --keep' 'verify-resume --calibrate' 'verify-resume --repeat' \
            'verify-resume --track' 'verify-resume --steps' 'verify-resume --images' \
            'verify-resume --keep-files' 'verify-resume --config' 'test --device' 'test --precision' \
            'test --batch-size' 'test --workers' 'test --max-pixels' 'test --checkpoint' 'test --data' \
            'test --labels' 'test --classes' 'test --ignore-columns' 'test --rating-range' \
            'test --clip-weights' 'test --mode' 'test --mask' 'test --split' 'test --on-error' \
            'test --alter' 'test --fit' 'test --results' 'test --fail-under' 'test --slurm' 'test --config' \
            'eval-corruptions --device' 'eval-corruptions --precision' 'eval-corruptions --batch-size' \
            'eval-corruptions --workers' 'eval-corruptions --max-pixels' 'eval-corruptions --checkpoint' \
            'eval-corruptions --data' 'eval-corruptions --labels' 'eval-corruptions --classes' \
            'eval-corruptions --ignore-columns' 'eval-corruptions --rating-range' \
            'eval-corruptions --clip-weights' 'eval-corruptions --mode' 'eval-corruptions --mask' \
            'eval-corruptions --split' 'eval-corruptions --on-error' 'eval-corruptions --cache' \
            'eval-corruptions --fit' 'eval-corruptions --corruptions' 'eval-corruptions --severities' \
            'eval-corruptions --scale' 'eval-corruptions --corrupted-root' \
            'eval-corruptions --frost-textures' 'eval-corruptions --save-images' 'eval-corruptions --seed' \
            'eval-corruptions --baseline' 'eval-corruptions --results' 'eval-corruptions --fail-under' \
            'eval-corruptions --slurm' 'eval-corruptions --config' 'corruptions --preview' \
            'corruptions --corruptions' 'corruptions --scale' 'corruptions --size' 'corruptions --seed' \
            'corruptions --frost-textures' 'corruptions --max-pixels' 'corruptions --config' \
            'probe --device' 'probe --precision' 'probe --batch-size' 'probe --workers' 'probe --max-pixels' \
            'probe --checkpoint' 'probe --data' 'probe --labels' 'probe --classes' 'probe --ignore-columns' \
            'probe --rating-range' 'probe --clip-weights' 'probe --mode' 'probe --mask' 'probe --split' \
            'probe --on-error' 'probe --results' 'probe --clips' 'probe --config' 'infer --device' \
            'infer --precision' 'infer --batch-size' 'infer --workers' 'infer --max-pixels' \
            'infer --checkpoint' 'infer --results' 'infer --labels' 'infer --classes' \
            'infer --ignore-columns' 'infer --rating-range' 'infer --clip-weights' 'infer --mode' \
            'infer --mask' 'infer --fit' 'infer --faces' 'infer --annotate' 'infer --every' 'infer --smooth' \
            'infer --camera' 'infer --seconds' 'infer --format' 'infer --shard' 'infer --on-error' \
            'infer --slurm' 'infer --config' 'merge --config' 'quantiles --actual' 'quantiles --predicted' \
            'quantiles --bins' 'quantiles --results' 'quantiles --fail-under' 'quantiles --config' \
            'convert --outputs' 'convert --clip-weights' 'convert --mode' 'convert --mask' \
            'convert --config' 'models --checkpoint' 'models --config' 'pull --output' 'pull --file' \
            'pull --checksum' 'pull --config' 'cache --older-than' 'cache --config' 'demo --epochs' \
            'demo --device' 'demo --config' 'doctor --config' 'completions --write' 'completions --config' \
            'prep cremad --output' 'prep cremad --seed' 'prep cremad --workers' 'prep cremad --on-error' \
            'prep cremad --split' 'prep cremad --sizes' 'prep cremad --frames' 'prep cremad --labels' \
            'prep cremad --sound-level' 'prep cremad --size' 'prep cremad --slurm' 'prep cremad --config' \
            'prep rml --output' 'prep rml --seed' 'prep rml --workers' 'prep rml --on-error' \
            'prep rml --split' 'prep rml --modify' 'prep rml --label' 'prep rml --sound' \
            'prep rml --sound-level' 'prep rml --size' 'prep rml --slurm' 'prep rml --config' \
            'prep emovoxceleb --output' 'prep emovoxceleb --seed' 'prep emovoxceleb --workers' \
            'prep emovoxceleb --on-error' 'prep emovoxceleb --split' 'prep emovoxceleb --values' \
            'prep emovoxceleb --size' 'prep emovoxceleb --max-pixels' 'prep emovoxceleb --slurm' \
            'prep emovoxceleb --config' 'prep av-features --output' 'prep av-features --seed' \
            'prep av-features --workers' 'prep av-features --on-error' 'prep av-features --split' \
            'prep av-features --layer' 'prep av-features --slurm' 'prep av-features --config' \
            'prep ferplus --output' 'prep ferplus --link' 'prep ferplus --shard' 'prep ferplus --target' \
            'prep ferplus --slurm' 'prep ferplus --config' 'prep affectnet-fused --output' \
            'prep affectnet-fused --link' 'prep affectnet-fused --shard' 'prep affectnet-fused --slurm' \
            'prep affectnet-fused --config' 'prep schematic --train' 'prep schematic --valid' \
            'prep schematic --test' 'prep schematic --size' 'prep schematic --seed' 'prep schematic --shard' \
            'prep schematic --slurm' 'prep schematic --config' 'pipeline show --config' \
            'pipeline save --config'
            echo 1
        case '*'
            echo 0
    end
end

# Whether the line before the cursor stands at the commands $argv[1], and, where they are given, at an argument
# whose number (from 0) lies between $argv[2] and $argv[3].
function __affectkit_at
    set -l path
    set -l position 0
    set -l skip 0
    set -l ended 0
    set -l tokens (commandline -opc)
    set -e tokens[1]
    for token in $tokens
        if test $skip -gt 0
            set skip (math $skip - 1)
        else if test $ended -eq 1
            set position (math $position + 1)
        else if test "$token" = --
            set ended 1
        else if string match -qr -- '^-.' $token
            set skip (__affectkit_takes "$path" $token)
        else if contains -- (string trim -- "$path $token") datasplit relabel train verify-resume test eval-corruptions corruptions probe infer merge quantiles convert models pull cache demo doctor completions prep 'prep cremad' 'prep rml' 'prep emovoxceleb' 'prep av-features' 'prep ferplus' 'prep affectnet-fused' 'prep schematic' pipeline 'pipeline show' 'pipeline save'
            set path (string trim -- "$path $token")
            set position 0
        else
            set position (math $position + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    if set -q argv[2]
        test $position -ge $argv[2] -a $position -le $argv[3]
    end
end

function __affectkit_words_1
    printf '%s\n' \
        fail skip
end

function __affectkit_words_2
    printf '%s\n' \
        copy hardlink symlink reflink
end

function __affectkit_words_3
    printf '%s\n' \
        auto cpu cuda mps
end

function __affectkit_words_4
    printf '%s\n' \
        auto fp32 tf32 bf16 fp16
end

function __affectkit_words_5
    printf '%s\n' \
        multimodal image-only audio-only
end

function __affectkit_words_6
    printf '%s\n' \
        binarizer ternarizer attention randomizer
end

function __affectkit_words_7
    printf '%s\n' \
        1s uniform
end

function __affectkit_words_8
    printf '%s\n' \
        ema plain
end

function __affectkit_words_9
    printf '%s\n' \
        joint autoencoder solver
end

function __affectkit_words_10
    printf '%s\n' \
        none variance
end

function __affectkit_words_11
    printf '%s\n' \
        none flip face face-strong face-crop imagenet vca
end

function __affectkit_words_12
    printf '%s\n' \
        stretch crop imagenet pad
end

function __affectkit_words_13
    printf '%s\n' \
        auto ram none
end

function __affectkit_words_14
    printf '%s\n' \
        resnet18 resnet34 resnet50 resnet101 resnet152 efficientnet_b0 mobilenetv3_small_100 convnext_tiny \
        vit_small_patch16_224 vit_base_patch16_224 vca face-seresnet resnet50_plain resnet50_center_surround \
        resnet50_local_rf resnet50_cortical_magnification resnet50_tuned_norm resnet50_div_norm \
        resnet50_composite_a resnet50_composite_b resnet50_composite_c resnet50_composite_d \
        resnet50_composite_e resnet50_composite_f resnet50_composite_g resnet50_v1 cmvqvae cmvqvae-baseline1 \
        cmvqvae-baseline2 cmvqvae-baseline3 cmvqvae-baseline4 cmvqvae-features
end

function __affectkit_words_15
    printf '%s\n' \
        auto distribution classification audiovisual ratings
end

function __affectkit_words_16
    printf '%s\n' \
        all last
end

function __affectkit_words_17
    printf '%s\n' \
        linear mlp vgg vgg-avg
end

function __affectkit_words_18
    printf '%s\n' \
        ViT-L-14 ViT-B-32
end

function __affectkit_words_19
    printf '%s\n' \
        auto quickgelu gelu
end

function __affectkit_words_20
    printf '%s\n' \
        both arousal valence
end

function __affectkit_words_21
    printf '%s\n' \
        mse l1 kl ce js vca ccc
end

function __affectkit_words_22
    printf '%s\n' \
        sgd adam adamw
end

function __affectkit_words_23
    printf '%s\n' \
        constant step multistep cosine plateau cyclic cyclic_plateau
end

function __affectkit_words_24
    printf '%s\n' \
        auto labels none
end

function __affectkit_words_25
    printf '%s\n' \
        none wandb
end

function __affectkit_words_26
    printf '%s\n' \
        train valid test all
end

function __affectkit_words_27
    printf '%s\n' \
        gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog \
        brightness contrast elastic_transform pixelate jpeg_compression speckle_noise gaussian_blur spatter \
        saturate noise color lighting grayscale mirror framing
end

function __affectkit_words_28
    printf '%s\n' \
        benchmark validation all alterations gaussian_noise shot_noise impulse_noise defocus_blur glass_blur \
        motion_blur zoom_blur snow frost fog brightness contrast elastic_transform pixelate jpeg_compression \
        speckle_noise gaussian_blur spatter saturate noise color lighting grayscale mirror framing
end

function __affectkit_words_29
    printf '%s\n' \
        auto cifar tiny imagenet
end

function __affectkit_words_30
    printf '%s\n' \
        csv jsonl parquet
end

function __affectkit_words_31
    printf '%s\n' \
        valence arousal
end

function __affectkit_words_32
    printf '%s\n' \
        bash zsh fish powershell
end

function __affectkit_words_33
    printf '%s\n' \
        window middle
end

function __affectkit_words_34
    printf '%s\n' \
        intended votes
end

function __affectkit_words_35
    printf '%s\n' \
        published unit
end

function __affectkit_words_36
    printf '%s\n' \
        none skin pitch both
end

function __affectkit_words_37
    printf '%s\n' \
        emotion skin pitch user
end

function __affectkit_words_38
    printf '%s\n' \
        rml pretrained
end

function __affectkit_words_39
    printf '%s\n' \
        auto logits shares
end

function __affectkit_words_40
    printf '%s\n' \
        copy hardlink
end

function __affectkit_words_41
    printf '%s\n' \
        distribution majority
end

complete -c affectkit -f

# affectkit
complete -c affectkit -n '__affectkit_at "" 0 0' -a datasplit -d 'Split class folders into train and test, and balance the classes by...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a relabel -d 'Move files to their corrected classes; a kill at any moment loses nothing...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a train -d 'Train a model, or continue a run with --resume'
complete -c affectkit -n '__affectkit_at "" 0 0' -a verify-resume -d 'Prove that a killed run with these settings ends, resumed, with the same bytes'
complete -c affectkit -n '__affectkit_at "" 0 0' -a test -d 'Test a checkpoint on labelled images'
complete -c affectkit -n '__affectkit_at "" 0 0' -a eval-corruptions -d 'Test a checkpoint on labelled images as they are and corrupted, at five...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a corruptions -d 'List the corruptions of eval-corruptions, or draw what they do to an image'
complete -c affectkit -n '__affectkit_at "" 0 0' -a probe -d 'Reconstruct clips from the shared and the private codes of an audio-visual...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a infer -d 'Predict images: files, folders, glob patterns, or a list on standard input (-)'
complete -c affectkit -n '__affectkit_at "" 0 0' -a merge -d 'Put the parts of --shard 1/N to N/N together, into the bytes that one run...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a quantiles -d 'Average predicted and actual values in bins of equal count, and compare...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a convert -d 'Turn a checkpoint that its authors published (VCA, V1 networks, CM-VQVAE...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a models -d 'List the models that train takes, or show what a checkpoint holds...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a pull -d 'Fetch the files of a Zenodo record, or one file, with checksum and resume'
complete -c affectkit -n '__affectkit_at "" 0 0' -a cache -d 'Show or clear the features of frozen encoders that train keeps on disk'
complete -c affectkit -n '__affectkit_at "" 0 0' -a demo -d 'Draw schematic faces, then train, test and infer on them, without any download'
complete -c affectkit -n '__affectkit_at "" 0 0' -a doctor -d 'Say what is installed, which device and precision auto means and why, and...'
complete -c affectkit -n '__affectkit_at "" 0 0' -a completions -d 'Print a shell\'s completion script, or write those of all shells'
complete -c affectkit -n '__affectkit_at "" 0 0' -a prep -d 'Bring a dataset as it is downloaded into the layout that train reads'
complete -c affectkit -n '__affectkit_at "" 0 0' -a pipeline -d 'Show the pipeline that augments images, or save it as a file to start from'
complete -c affectkit -n '__affectkit_at ""' -l version -d 'Print the version'
complete -c affectkit -n '__affectkit_at ""' -l help -s h -d 'Show this message and exit'

# affectkit datasplit
complete -c affectkit -n '__affectkit_at "datasplit"' -l output-path -r -F -d 'Folder to make; without it PATH is changed in place, by a journal'
complete -c affectkit -n '__affectkit_at "datasplit"' -l train-split -x -d 'Share of each class that trains, above 0.5 and below 1. Default: 0.8'
complete -c affectkit -n '__affectkit_at "datasplit"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "datasplit"' -l group-by -x -d 'Regular expression with one group, searched in file names; a group stays...'
complete -c affectkit -n '__affectkit_at "datasplit"' -l on-error -x -a '(__affectkit_words_1)' -d 'Of files that cannot be read. Default: fail'
complete -c affectkit -n '__affectkit_at "datasplit"' -l balance -d 'Grow all classes to one size, in train and in test'
complete -c affectkit -n '__affectkit_at "datasplit"' -l balance-train -d 'Balance the train side'
complete -c affectkit -n '__affectkit_at "datasplit"' -l balance-test -d 'Balance the test side'
complete -c affectkit -n '__affectkit_at "datasplit"' -l global-multiplier -x -d 'Grow the classes of a balanced side to this many times the size. Default: 1'
complete -c affectkit -n '__affectkit_at "datasplit"' -l pipeline-yaml -r -F -d 'Albumentations pipeline in place of the built-in one (affectkit pipeline show)'
complete -c affectkit -n '__affectkit_at "datasplit"' -l quality -x -d 'Quality of JPEGs that are made; 0 takes each original\'s own. Default: 95'
complete -c affectkit -n '__affectkit_at "datasplit"' -l preview -r -F -d 'Draw originals beside what was made of them'
complete -c affectkit -n '__affectkit_at "datasplit"' -l link -x -a '(__affectkit_words_2)' -d 'How originals get to --output-path. Default: copy'
complete -c affectkit -n '__affectkit_at "datasplit"' -l label-col -x -d 'Column of the labels in train.csv and test.csv. Default: label'
complete -c affectkit -n '__affectkit_at "datasplit"' -l filename-col -x -d 'Column of the files in train.csv and test.csv. Default: filename'
complete -c affectkit -n '__affectkit_at "datasplit"' -l plain-csv -d 'Those two columns alone: no source and draw of made files'
complete -c affectkit -n '__affectkit_at "datasplit"' -l workers -x -d 'Processes. Default: one a processor'
complete -c affectkit -n '__affectkit_at "datasplit"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "datasplit"' -l scheduler -x -d 'Dask scheduler whose workers do the work'
complete -c affectkit -n '__affectkit_at "datasplit"' -l dry-run -d 'Show what would happen; change nothing'
complete -c affectkit -n '__affectkit_at "datasplit"' -l undo -d 'Put every original back and remove what was made'
complete -c affectkit -n '__affectkit_at "datasplit"' -l force -d 'Undo another split that is in the way; with --undo, go on where files have...'
complete -c affectkit -n '__affectkit_at "datasplit"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "datasplit"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "datasplit"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "datasplit"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "datasplit"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "datasplit"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "datasplit" 0 0' -F

# affectkit relabel
complete -c affectkit -n '__affectkit_at "relabel"' -l labels-csv -r -F -d 'CSV file with the columns pth (old_label/file) and label'
complete -c affectkit -n '__affectkit_at "relabel"' -l output-path -r -F -d 'Folder to copy into; without it PATH is changed in place, by a journal'
complete -c affectkit -n '__affectkit_at "relabel"' -l dry-run -d 'Show what would happen; change nothing'
complete -c affectkit -n '__affectkit_at "relabel"' -l undo -d 'Put every file back'
complete -c affectkit -n '__affectkit_at "relabel"' -l force -d 'With --undo, go on where files have changed since'
complete -c affectkit -n '__affectkit_at "relabel"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "relabel"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "relabel"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "relabel"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "relabel"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "relabel"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "relabel" 0 0' -F

# affectkit train
complete -c affectkit -n '__affectkit_at "train"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "train"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "train"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "train"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "train"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "train"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "train"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities that emotions are told by. Default: multimodal'
complete -c affectkit -n '__affectkit_at "train"' -l mask -x -a '(__affectkit_words_6)' -d 'What the mask over the code channels is turned into: 0 private and 1...'
complete -c affectkit -n '__affectkit_at "train"' -l mask-init -x -a '(__affectkit_words_7)' -d 'Where the mask starts: all at --mask-scale, or uniform either side of 0'
complete -c affectkit -n '__affectkit_at "train"' -l mask-scale -x -d 'Size of the mask\'s first values. Default: 0.01'
complete -c affectkit -n '__affectkit_at "train"' -l mask-threshold -x -d 'Above it a channel is shared. Default: 0.005'
complete -c affectkit -n '__affectkit_at "train"' -l mask-penalty -x -d 'Weight of the sum of the mask in the loss; 0: off. Default: 0.0001'
complete -c affectkit -n '__affectkit_at "train"' -l quantizer -x -a '(__affectkit_words_8)' -d 'Codes as moving averages of what they stand for, or learned (plain)'
complete -c affectkit -n '__affectkit_at "train"' -l codes -x -d 'Codes of each modality. Default: 512'
complete -c affectkit -n '__affectkit_at "train"' -l hidden -x -d 'Channels of the encoders and decoders. Default: 128'
complete -c affectkit -n '__affectkit_at "train"' -l stage -x -a '(__affectkit_words_9)' -d 'What is trained: all together; the autoencoders alone; the solver alone...'
complete -c affectkit -n '__affectkit_at "train"' -l recon-scale -x -a '(__affectkit_words_10)' -d 'What reconstruction errors are divided by: nothing, as published, or the...'
complete -c affectkit -n '__affectkit_at "train"' -l reset-mask -d 'With --init: put the mask back to its first values'
complete -c affectkit -n '__affectkit_at "train"' -l data -r -F -d 'Folder with the dataset; its layout is found by looking'
complete -c affectkit -n '__affectkit_at "train"' -l labels -r -F -d 'Table of labels or ratings of the images in --data, if it does not lie there'
complete -c affectkit -n '__affectkit_at "train"' -l test-data -r -F -d 'Images to test on after training. Default: --data, with --test-labels'
complete -c affectkit -n '__affectkit_at "train"' -l test-labels -r -F -d 'Table of the labels or ratings of --test-data'
complete -c affectkit -n '__affectkit_at "train"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "train"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "train"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "train"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "train"' -l output -r -F -d 'Run folder to make'
complete -c affectkit -n '__affectkit_at "train"' -l resume -r -F -d 'Continue this run folder; needs nothing else'
complete -c affectkit -n '__affectkit_at "train"' -l force -d 'Write into an --output that is not empty'
complete -c affectkit -n '__affectkit_at "train"' -l val-fraction -x -d 'Share of the training images held out where the data has no validation split'
complete -c affectkit -n '__affectkit_at "train"' -l drop-copies -d 'Leave images out of validation and test that are exact copies of images in...'
complete -c affectkit -n '__affectkit_at "train"' -l augment -x -a '(__affectkit_words_11)' -d 'Augmentation preset. Default: face'
complete -c affectkit -n '__affectkit_at "train"' -l fit -x -a '(__affectkit_words_12)' -d 'How an image is brought to the input size. Default: crop'
complete -c affectkit -n '__affectkit_at "train"' -l cache -x -a '(__affectkit_words_13)' -d 'Hold decoded images in memory; auto: where they fit in a quarter of what...'
complete -c affectkit -n '__affectkit_at "train"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: fail'
complete -c affectkit -n '__affectkit_at "train"' -l model -x -a '(__affectkit_words_14)' -d 'Model name; any timm backbone; vca, with the defaults of its study'
complete -c affectkit -n '__affectkit_at "train"' -l task -x -a '(__affectkit_words_15)' -d 'What is predicted; auto: classification where the data has labels...'
complete -c affectkit -n '__affectkit_at "train"' -l pretrained -d 'Start from the weights on timm\'s hub (downloaded once). Default: yes'
complete -c affectkit -n '__affectkit_at "train"' -l no-pretrained -d 'Start from the weights on timm\'s hub (downloaded once). Default: yes'
complete -c affectkit -n '__affectkit_at "train"' -l init -r -F -d 'Start from the weights in this file, run folder, or builtin, instead'
complete -c affectkit -n '__affectkit_at "train"' -l init-key -x -d 'Which weights of the --init file are taken, where it holds several: a key...'
complete -c affectkit -n '__affectkit_at "train"' -l tune -x -a '(__affectkit_words_16)' -d 'What learns: all; last: the classifier alone, on a network that stays as...'
complete -c affectkit -n '__affectkit_at "train"' -l image-size -x -d 'Input height and width in pixels. Default: the model\'s own'
complete -c affectkit -n '__affectkit_at "train"' -l start-size -x -d 'Shorter side of training images at first; it grows to the input size over...'
complete -c affectkit -n '__affectkit_at "train"' -l channels -x -d '3 for RGB, 1 for gray input. Default: 3'
complete -c affectkit -n '__affectkit_at "train"' -l dropout -x -d 'Dropout in front of the last layer. Default: 0.3'
complete -c affectkit -n '__affectkit_at "train"' -l top -x -a '(__affectkit_words_17)' -d 'Classifier on the backbone: linear; mlp: a hidden layer of --top-width...'
complete -c affectkit -n '__affectkit_at "train"' -l top-width -x -d 'Width of the hidden layer of --top mlp. Default: 512'
complete -c affectkit -n '__affectkit_at "train"' -l v1 -x -d 'Components of resnet50_v1: center-surround, local-rf, tuned-norm or...'
complete -c affectkit -n '__affectkit_at "train"' -l clip -x -a '(__affectkit_words_18)' -d 'CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json...'
complete -c affectkit -n '__affectkit_at "train"' -l clip-weights -r -F -d 'CLIP\'s weights: a tag of open_clip (fetched once), a file, or random'
complete -c affectkit -n '__affectkit_at "train"' -l clip-activation -x -a '(__affectkit_words_19)' -d 'Activation that CLIP was trained with; a file does not tell. Default: auto'
complete -c affectkit -n '__affectkit_at "train"' -l clip-normalise -d 'Normalise images by CLIP\'s mean and std, which the published VCA does not'
complete -c affectkit -n '__affectkit_at "train"' -l include-clip -d 'Save CLIP\'s weights in checkpoints, not their name and hash alone'
complete -c affectkit -n '__affectkit_at "train"' -l outputs -x -a '(__affectkit_words_20)' -d 'Which ratings are predicted. Default: both'
complete -c affectkit -n '__affectkit_at "train"' -l views -x -d 'Augmented views of each training image whose CLIP features are computed...'
complete -c affectkit -n '__affectkit_at "train"' -l epochs -x -d 'Passes over the training images. Default: 20'
complete -c affectkit -n '__affectkit_at "train"' -l loss -x -a '(__affectkit_words_21)' -d 'One of mse, l1, kl, ce, js, for ratings vca, mse, l1, ccc; or a weighted...'
complete -c affectkit -n '__affectkit_at "train"' -l optimizer -x -a '(__affectkit_words_22)' -d 'Optimiser. Default: adam'
complete -c affectkit -n '__affectkit_at "train"' -l lr -x -d 'Learning rate. Default: 0.001'
complete -c affectkit -n '__affectkit_at "train"' -l momentum -x -d 'Momentum of SGD. Default: 0.9'
complete -c affectkit -n '__affectkit_at "train"' -l weight-decay -x -d 'Weight decay (L2 for SGD and Adam, decoupled for AdamW). Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l schedule -x -a '(__affectkit_words_23)' -d 'How the learning rate moves. Default: plateau'
complete -c affectkit -n '__affectkit_at "train"' -l warmup -x -d 'Epochs of linear growth from 0 before the schedule counts fully. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l lr-min -x -d 'Where cosine and cyclic_plateau end; the floor of plateau. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l lr-peak -x -d 'Epoch at which the cyclic ones reach --lr. Default: a tenth of the epochs'
complete -c affectkit -n '__affectkit_at "train"' -l lr-cycle-end -x -d 'Epoch at which cyclic_plateau reaches --lr-min. Default: 60% of the epochs'
complete -c affectkit -n '__affectkit_at "train"' -l lr-patience -x -d 'Epochs without progress before plateau reduces. Default: 3'
complete -c affectkit -n '__affectkit_at "train"' -l step-size -x -d 'Epochs between reductions of step. Default: 40'
complete -c affectkit -n '__affectkit_at "train"' -l milestones -x -d 'Epochs at which multistep reduces, as 60,80'
complete -c affectkit -n '__affectkit_at "train"' -l gamma -x -d 'Factor of a reduction. Default: 0.5 for plateau, else 0.1'
complete -c affectkit -n '__affectkit_at "train"' -l accumulate -x -d 'Batches whose gradients make one step. Default: 1'
complete -c affectkit -n '__affectkit_at "train"' -l clip-norm -x -d 'Largest norm of the gradient'
complete -c affectkit -n '__affectkit_at "train"' -l draw-labels -d 'Train on a label drawn from each image\'s distribution, anew each epoch'
complete -c affectkit -n '__affectkit_at "train"' -l teacher -x -d 'Checkpoints whose mean prediction is mixed into the training targets...'
complete -c affectkit -n '__affectkit_at "train"' -l teacher-share -x -d 'Share of the targets that teachers have. Default: 0.5'
complete -c affectkit -n '__affectkit_at "train"' -l mixup -x -d 'Alpha of mixup\'s Beta distribution; 0: off. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l label-smoothing -x -d 'Share of each target spread over all classes. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l class-weights -x -d 'balanced (inverse frequency), none, or name=weight,name=weight. Default: none'
complete -c affectkit -n '__affectkit_at "train"' -l ema -x -d 'Decay of the averaged weights that are evaluated and kept; 0: off. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l early-stop -x -d 'Epochs without a new best before the run ends; 0: never. Default: 5'
complete -c affectkit -n '__affectkit_at "train"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "train"' -l monitor -x -d 'Validation metric that says which epoch is best. Default: loss'
complete -c affectkit -n '__affectkit_at "train"' -l deterministic -d 'On CUDA, only kernels that repeat to the last bit (slower); the CPU\'s do...'
complete -c affectkit -n '__affectkit_at "train"' -l checkpoint-every -x -d 'Also save the state every so many steps (200) or minutes (10m)'
complete -c affectkit -n '__affectkit_at "train"' -l keep-epochs -d 'Keep the checkpoint of every epoch, that before training (epoch 0) included'
complete -c affectkit -n '__affectkit_at "train"' -l keep-every -x -d 'Keep the checkpoint of every N-th epoch. Default: none'
complete -c affectkit -n '__affectkit_at "train"' -l keep -x -d 'Saved states that are kept, the newest. Default: 2'
complete -c affectkit -n '__affectkit_at "train"' -l calibrate -x -a '(__affectkit_words_24)' -d 'What the temperature is fitted to on the validation split, as far as its...'
complete -c affectkit -n '__affectkit_at "train"' -l repeat -x -d 'Train this many times with seeds SEED, SEED+1, ... Default: 1'
complete -c affectkit -n '__affectkit_at "train"' -l track -x -a '(__affectkit_words_25)' -d 'Also log to Weights & Biases. Default: none'
complete -c affectkit -n '__affectkit_at "train"' -l print-config -d 'Print every setting and where it came from, and stop'
complete -c affectkit -n '__affectkit_at "train"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "train"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "train"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "train"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "train"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "train"' -l help -s h -d 'Show this message and exit'

# affectkit verify-resume
complete -c affectkit -n '__affectkit_at "verify-resume"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities that emotions are told by. Default: multimodal'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mask -x -a '(__affectkit_words_6)' -d 'What the mask over the code channels is turned into: 0 private and 1...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mask-init -x -a '(__affectkit_words_7)' -d 'Where the mask starts: all at --mask-scale, or uniform either side of 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mask-scale -x -d 'Size of the mask\'s first values. Default: 0.01'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mask-threshold -x -d 'Above it a channel is shared. Default: 0.005'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mask-penalty -x -d 'Weight of the sum of the mask in the loss; 0: off. Default: 0.0001'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l quantizer -x -a '(__affectkit_words_8)' -d 'Codes as moving averages of what they stand for, or learned (plain)'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l codes -x -d 'Codes of each modality. Default: 512'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l hidden -x -d 'Channels of the encoders and decoders. Default: 128'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l stage -x -a '(__affectkit_words_9)' -d 'What is trained: all together; the autoencoders alone; the solver alone...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l recon-scale -x -a '(__affectkit_words_10)' -d 'What reconstruction errors are divided by: nothing, as published, or the...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l reset-mask -d 'With --init: put the mask back to its first values'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l data -r -F -d 'Folder with the dataset; its layout is found by looking'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l labels -r -F -d 'Table of labels or ratings of the images in --data, if it does not lie there'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l test-data -r -F -d 'Images to test on after training. Default: --data, with --test-labels'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l test-labels -r -F -d 'Table of the labels or ratings of --test-data'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l output -r -F -d 'Without effect here'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l resume -r -F -d 'Without effect here'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l force -d 'Without effect here'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l val-fraction -x -d 'Share of the training images held out where the data has no validation split'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l drop-copies -d 'Leave images out of validation and test that are exact copies of images in...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l augment -x -a '(__affectkit_words_11)' -d 'Augmentation preset. Default: face'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l fit -x -a '(__affectkit_words_12)' -d 'How an image is brought to the input size. Default: crop'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l cache -x -a '(__affectkit_words_13)' -d 'Hold decoded images in memory; auto: where they fit in a quarter of what...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: fail'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l model -x -a '(__affectkit_words_14)' -d 'Model name; any timm backbone; vca, with the defaults of its study'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l task -x -a '(__affectkit_words_15)' -d 'What is predicted; auto: classification where the data has labels...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l pretrained -d 'Start from the weights on timm\'s hub (downloaded once). Default: yes'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l no-pretrained -d 'Start from the weights on timm\'s hub (downloaded once). Default: yes'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l init -r -F -d 'Start from the weights in this file, run folder, or builtin, instead'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l init-key -x -d 'Which weights of the --init file are taken, where it holds several: a key...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l tune -x -a '(__affectkit_words_16)' -d 'What learns: all; last: the classifier alone, on a network that stays as...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l image-size -x -d 'Input height and width in pixels. Default: the model\'s own'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l start-size -x -d 'Shorter side of training images at first; it grows to the input size over...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l channels -x -d '3 for RGB, 1 for gray input. Default: 3'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l dropout -x -d 'Dropout in front of the last layer. Default: 0.3'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l top -x -a '(__affectkit_words_17)' -d 'Classifier on the backbone: linear; mlp: a hidden layer of --top-width...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l top-width -x -d 'Width of the hidden layer of --top mlp. Default: 512'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l v1 -x -d 'Components of resnet50_v1: center-surround, local-rf, tuned-norm or...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l clip -x -a '(__affectkit_words_18)' -d 'CLIP of vca: ViT-L-14, ViT-B-32, any name of open_clip, or a .json...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l clip-weights -r -F -d 'CLIP\'s weights: a tag of open_clip (fetched once), a file, or random'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l clip-activation -x -a '(__affectkit_words_19)' -d 'Activation that CLIP was trained with; a file does not tell. Default: auto'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l clip-normalise -d 'Normalise images by CLIP\'s mean and std, which the published VCA does not'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l include-clip -d 'Save CLIP\'s weights in checkpoints, not their name and hash alone'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l outputs -x -a '(__affectkit_words_20)' -d 'Which ratings are predicted. Default: both'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l views -x -d 'Augmented views of each training image whose CLIP features are computed...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l epochs -x -d 'Without effect here. Default: 2, always'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l loss -x -a '(__affectkit_words_21)' -d 'One of mse, l1, kl, ce, js, for ratings vca, mse, l1, ccc; or a weighted...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l optimizer -x -a '(__affectkit_words_22)' -d 'Optimiser. Default: adam'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l lr -x -d 'Learning rate. Default: 0.001'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l momentum -x -d 'Momentum of SGD. Default: 0.9'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l weight-decay -x -d 'Weight decay (L2 for SGD and Adam, decoupled for AdamW). Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l schedule -x -a '(__affectkit_words_23)' -d 'How the learning rate moves. Default: plateau'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l warmup -x -d 'Epochs of linear growth from 0 before the schedule counts fully. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l lr-min -x -d 'Where cosine and cyclic_plateau end; the floor of plateau. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l lr-peak -x -d 'Epoch at which the cyclic ones reach --lr. Default: a tenth of the epochs'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l lr-cycle-end -x -d 'Epoch at which cyclic_plateau reaches --lr-min. Default: 60% of the epochs'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l lr-patience -x -d 'Epochs without progress before plateau reduces. Default: 3'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l step-size -x -d 'Epochs between reductions of step. Default: 40'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l milestones -x -d 'Epochs at which multistep reduces, as 60,80'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l gamma -x -d 'Factor of a reduction. Default: 0.5 for plateau, else 0.1'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l accumulate -x -d 'Batches whose gradients make one step. Default: 1'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l clip-norm -x -d 'Largest norm of the gradient'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l draw-labels -d 'Train on a label drawn from each image\'s distribution, anew each epoch'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l teacher -x -d 'Checkpoints whose mean prediction is mixed into the training targets...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l teacher-share -x -d 'Share of the targets that teachers have. Default: 0.5'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l mixup -x -d 'Alpha of mixup\'s Beta distribution; 0: off. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l label-smoothing -x -d 'Share of each target spread over all classes. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l class-weights -x -d 'balanced (inverse frequency), none, or name=weight,name=weight. Default: none'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l ema -x -d 'Decay of the averaged weights that are evaluated and kept; 0: off. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l early-stop -x -d 'Epochs without a new best before the run ends; 0: never. Default: 5'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l monitor -x -d 'Validation metric that says which epoch is best. Default: loss'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l deterministic -d 'On CUDA, only kernels that repeat to the last bit (slower); the CPU\'s do...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l checkpoint-every -x -d 'Without effect here. Default: 1, always'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l keep-epochs -d 'Keep the checkpoint of every epoch, that before training (epoch 0) included'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l keep-every -x -d 'Keep the checkpoint of every N-th epoch. Default: none'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l keep -x -d 'Without effect here. Default: 2'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l calibrate -x -a '(__affectkit_words_24)' -d 'What the temperature is fitted to on the validation split, as far as its...'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l repeat -x -d 'Without effect here. Default: 1'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l track -x -a '(__affectkit_words_25)' -d 'Without effect here. Default: none'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l steps -x -d 'Optimiser steps of each short run, over two epochs. Default: 6'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l images -x -d 'At most so many training images. Default: what the steps need'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l keep-files -r -F -d 'Keep the folders of the short runs in this new folder'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "verify-resume"' -l help -s h -d 'Show this message and exit'

# affectkit test
complete -c affectkit -n '__affectkit_at "test"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "test"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "test"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "test"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "test"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "test"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "test"' -l checkpoint -r -F -d 'Checkpoint file, a run folder (its best model), or builtin'
complete -c affectkit -n '__affectkit_at "test"' -l data -r -F -d 'Folder with the dataset; its layout is found by looking'
complete -c affectkit -n '__affectkit_at "test"' -l labels -r -F -d 'Table of labels or ratings of the images in --data, if it does not lie there'
complete -c affectkit -n '__affectkit_at "test"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "test"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "test"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "test"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "test"' -l clip-weights -r -F -d 'File with the CLIP weights of a vca checkpoint; they must be the ones that...'
complete -c affectkit -n '__affectkit_at "test"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities of a published CM-VQVAE, whose file does not hold it'
complete -c affectkit -n '__affectkit_at "test"' -l mask -x -a '(__affectkit_words_6)' -d 'Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer'
complete -c affectkit -n '__affectkit_at "test"' -l split -x -a '(__affectkit_words_26)' -d 'Split to test on; all takes a --labels table whole, as is one without a...'
complete -c affectkit -n '__affectkit_at "test"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: fail'
complete -c affectkit -n '__affectkit_at "test"' -l alter -x -a '(__affectkit_words_27)' -d 'Corrupt the images first: any name of affectkit corruptions, as fog:3...'
complete -c affectkit -n '__affectkit_at "test"' -l fit -x -a '(__affectkit_words_12)' -d 'How an image is brought to the input size. Default: the checkpoint\'s'
complete -c affectkit -n '__affectkit_at "test"' -l drop-copies -d 'Leave images out that are exact copies of images in an earlier split of --data'
complete -c affectkit -n '__affectkit_at "test"' -l results -r -F -d 'Folder for tables and pictures'
complete -c affectkit -n '__affectkit_at "test"' -l force -d 'Write into a --results that is not empty'
complete -c affectkit -n '__affectkit_at "test"' -l fail-under -x -d 'Exit 3 where a metric is worse: metric=value,metric=value'
complete -c affectkit -n '__affectkit_at "test"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "test"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "test"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "test"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "test"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "test"' -l help -s h -d 'Show this message and exit'

# affectkit eval-corruptions
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l checkpoint -r -F -d 'Checkpoint file, a run folder (its best model), or builtin'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l data -r -F -d 'Folder with the dataset; its layout is found by looking'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l labels -r -F -d 'Table of labels or ratings of the images in --data, if it does not lie there'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l clip-weights -r -F -d 'File with the CLIP weights of a vca checkpoint; they must be the ones that...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities of a published CM-VQVAE, whose file does not hold it'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l mask -x -a '(__affectkit_words_6)' -d 'Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l split -x -a '(__affectkit_words_26)' -d 'Split to test on; all takes a --labels table whole, as is one without a...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: fail'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l cache -x -a '(__affectkit_words_13)' -d 'Hold decoded images in memory; auto: where they fit in a quarter of what...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l fit -x -a '(__affectkit_words_12)' -d 'How an image is brought to the input size. Default: the checkpoint\'s'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l corruptions -x -a '(__affectkit_words_28)' -d 'benchmark (the fifteen), validation (the four held out), all (both)...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l severities -x -d 'Severities, as 1-5 or 1,3,5. Default: 1-5'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l scale -x -a '(__affectkit_words_29)' -d 'Benchmark whose parameters are taken; auto: by the shorter side of the...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l corrupted-root -r -F -d 'Read images already corrupted: CORRUPTION/SEVERITY/CLASS/*, as Tiny-ImageNet-C'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l frost-textures -r -F -d 'Folder with photographs of frost. Default: textures that are computed'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l save-images -r -F -d 'Also write the corrupted images there, as --corrupted-root reads them (PNG)'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l baseline -r -F -d 'Results of another model, for mCE: its corruptions.csv, or a...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l results -r -F -d 'Folder for tables and pictures; run again, the command goes on there'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l force -d 'Compute rows anew that are in --results, whatever is there'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l fail-under -x -d 'Exit 3 where a mean over the corruptions is worse, or mce, relative_mce...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "eval-corruptions"' -l help -s h -d 'Show this message and exit'

# affectkit corruptions
complete -c affectkit -n '__affectkit_at "corruptions"' -l preview -r -F -d 'Draw IMAGE under each corruption at five severities: a PNG file'
complete -c affectkit -n '__affectkit_at "corruptions"' -l corruptions -x -a '(__affectkit_words_28)' -d 'benchmark (the fifteen), validation (the four held out), all (both)...'
complete -c affectkit -n '__affectkit_at "corruptions"' -l scale -x -a '(__affectkit_words_29)' -d 'Benchmark whose parameters are taken; auto: by --size. Default: auto'
complete -c affectkit -n '__affectkit_at "corruptions"' -l size -x -d 'Side in pixels that IMAGE is brought to first. Default: 224'
complete -c affectkit -n '__affectkit_at "corruptions"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "corruptions"' -l frost-textures -r -F -d 'Folder with photographs of frost. Default: textures that are computed'
complete -c affectkit -n '__affectkit_at "corruptions"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "corruptions"' -l force -d 'Replace the file of --preview'
complete -c affectkit -n '__affectkit_at "corruptions"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "corruptions"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "corruptions"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "corruptions"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "corruptions"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "corruptions" 0 0' -F

# affectkit probe
complete -c affectkit -n '__affectkit_at "probe"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "probe"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "probe"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "probe"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "probe"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "probe"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "probe"' -l checkpoint -r -F -d 'Checkpoint file, a run folder (its best model), or builtin'
complete -c affectkit -n '__affectkit_at "probe"' -l data -r -F -d 'Folder with the dataset; its layout is found by looking'
complete -c affectkit -n '__affectkit_at "probe"' -l labels -r -F -d 'Table of labels or ratings of the images in --data, if it does not lie there'
complete -c affectkit -n '__affectkit_at "probe"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "probe"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "probe"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "probe"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "probe"' -l clip-weights -r -F -d 'File with the CLIP weights of a vca checkpoint; they must be the ones that...'
complete -c affectkit -n '__affectkit_at "probe"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities of a published CM-VQVAE, whose file does not hold it'
complete -c affectkit -n '__affectkit_at "probe"' -l mask -x -a '(__affectkit_words_6)' -d 'Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer'
complete -c affectkit -n '__affectkit_at "probe"' -l split -x -a '(__affectkit_words_26)' -d 'Split to test on; all takes a --labels table whole, as is one without a...'
complete -c affectkit -n '__affectkit_at "probe"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: fail'
complete -c affectkit -n '__affectkit_at "probe"' -l results -r -F -d 'Folder for the pictures, the table and the sounds'
complete -c affectkit -n '__affectkit_at "probe"' -l force -d 'Write into a --results that is not empty'
complete -c affectkit -n '__affectkit_at "probe"' -l clips -x -d 'Clips that are drawn, evenly over the split. Default: 8'
complete -c affectkit -n '__affectkit_at "probe"' -l sound -d 'Also write what the spectrograms of those clips sound like (Griffin-Lim...'
complete -c affectkit -n '__affectkit_at "probe"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "probe"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "probe"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "probe"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "probe"' -l help -s h -d 'Show this message and exit'

# affectkit infer
complete -c affectkit -n '__affectkit_at "infer"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. One that is absent is an error. Default: auto'
complete -c affectkit -n '__affectkit_at "infer"' -l precision -x -a '(__affectkit_words_4)' -d 'Number format of the forward pass. Default: auto'
complete -c affectkit -n '__affectkit_at "infer"' -l compile -d 'Compile the model with torch\'s compiler before the first batch'
complete -c affectkit -n '__affectkit_at "infer"' -l batch-size -x -d 'Images in a batch, over all processes. Default: 32'
complete -c affectkit -n '__affectkit_at "infer"' -l workers -x -d 'Workers that decode images, for each process. Default: chosen by the data'
complete -c affectkit -n '__affectkit_at "infer"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "infer"' -l checkpoint -r -F -d 'Checkpoint file, a run folder (its best model), or builtin. Default: builtin'
complete -c affectkit -n '__affectkit_at "infer"' -l results -r -F -d 'Folder for the result table. Default: rows go to standard output'
complete -c affectkit -n '__affectkit_at "infer"' -l labels -r -F -d 'Table of labels or ratings of the images of one folder: they are tested, too'
complete -c affectkit -n '__affectkit_at "infer"' -l classes -x -d 'The classes, of a table that does not tell them by what it holds: its...'
complete -c affectkit -n '__affectkit_at "infer"' -l ignore-columns -x -d 'Columns of a table that are passed over. Default: none'
complete -c affectkit -n '__affectkit_at "infer"' -l follow-links -d 'Read files of a table through links that lead out of its folder; those of...'
complete -c affectkit -n '__affectkit_at "infer"' -l rating-range -x -d 'Least and greatest rating that can be given, as 1,9; others are refused'
complete -c affectkit -n '__affectkit_at "infer"' -l clip-weights -r -F -d 'File with the CLIP weights of a vca checkpoint; they must be the ones that...'
complete -c affectkit -n '__affectkit_at "infer"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities of a published CM-VQVAE, whose file does not hold it'
complete -c affectkit -n '__affectkit_at "infer"' -l mask -x -a '(__affectkit_words_6)' -d 'Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer'
complete -c affectkit -n '__affectkit_at "infer"' -l fit -x -a '(__affectkit_words_12)' -d 'How an image is brought to the input size. Default: the checkpoint\'s'
complete -c affectkit -n '__affectkit_at "infer"' -l faces -x -d 'Find faces and predict each: auto (a picture that is a face crop is taken...'
complete -c affectkit -n '__affectkit_at "infer"' -l annotate -r -F -d 'Draw faces and predictions: into this folder, for a film into this file or...'
complete -c affectkit -n '__affectkit_at "infer"' -l every -x -d 'How often a film is looked at: seconds, as 0.5s, or frames, as 15; given...'
complete -c affectkit -n '__affectkit_at "infer"' -l smooth -x -d 'Seconds over which the outputs of a face in a film are averaged; 0: not at all'
complete -c affectkit -n '__affectkit_at "infer"' -l camera -x -d 'Look at this camera, until Ctrl-C'
complete -c affectkit -n '__affectkit_at "infer"' -l seconds -x -d 'End after so long, of a camera or of each film. Default: all'
complete -c affectkit -n '__affectkit_at "infer"' -l format -x -a '(__affectkit_words_30)' -d 'Format of the rows. Default: csv'
complete -c affectkit -n '__affectkit_at "infer"' -l recursive -d 'Look into sub-folders too'
complete -c affectkit -n '__affectkit_at "infer"' -l shard -x -d 'Predict every N-th image alone, as the I-th of N runs; affectkit merge...'
complete -c affectkit -n '__affectkit_at "infer"' -l resume -d 'Continue the table in --results, or bring a finished one up to date'
complete -c affectkit -n '__affectkit_at "infer"' -l force -d 'Replace the table in --results'
complete -c affectkit -n '__affectkit_at "infer"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a bad image does. Default: skip'
complete -c affectkit -n '__affectkit_at "infer"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "infer"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "infer"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "infer"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "infer"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "infer"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "infer" 0 9999' -F

# affectkit merge
complete -c affectkit -n '__affectkit_at "merge"' -l force -d 'Replace another result table in the folder (infer)'
complete -c affectkit -n '__affectkit_at "merge"' -l remove-parts -d 'Remove the parts once they are put together (prep always does)'
complete -c affectkit -n '__affectkit_at "merge"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "merge"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "merge"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "merge"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "merge"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "merge" 0 0' -F

# affectkit quantiles
complete -c affectkit -n '__affectkit_at "quantiles"' -l actual -x -d 'Column of the actual values, by which the bins are made. Default: Actual'
complete -c affectkit -n '__affectkit_at "quantiles"' -l predicted -x -d 'Column of the predicted values. Default: Predicted'
complete -c affectkit -n '__affectkit_at "quantiles"' -l bins -x -d 'Bins of equal count. Default: 25'
complete -c affectkit -n '__affectkit_at "quantiles"' -l results -r -F -d 'Folder for quantiles.csv, quantiles.png and summary.json'
complete -c affectkit -n '__affectkit_at "quantiles"' -l force -d 'Write into a --results that is not empty'
complete -c affectkit -n '__affectkit_at "quantiles"' -l fail-under -x -d 'Exit 3 where a file misses a bound over its bin means: r and r2 at least...'
complete -c affectkit -n '__affectkit_at "quantiles"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "quantiles"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "quantiles"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "quantiles"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "quantiles"' -l help -s h -d 'Show this message and exit'

# affectkit convert
complete -c affectkit -n '__affectkit_at "convert"' -l outputs -x -a '(__affectkit_words_31)' -d 'What a model with one output was trained on; its file does not say'
complete -c affectkit -n '__affectkit_at "convert"' -l clip-weights -r -F -d 'What the CLIP in the file is compared with: openai (fetched where need...'
complete -c affectkit -n '__affectkit_at "convert"' -l mode -x -a '(__affectkit_words_5)' -d 'Modalities of a published CM-VQVAE, whose file does not hold it'
complete -c affectkit -n '__affectkit_at "convert"' -l mask -x -a '(__affectkit_words_6)' -d 'Mask of a published CM-VQVAE, whose file does not hold it. Default: binarizer'
complete -c affectkit -n '__affectkit_at "convert"' -l half -d 'Of affectkit\'s own checkpoint: write its weights in half precision'
complete -c affectkit -n '__affectkit_at "convert"' -l force -d 'Replace OUTPUT'
complete -c affectkit -n '__affectkit_at "convert"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "convert"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "convert"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "convert"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "convert"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "convert" 0 0' -F
complete -c affectkit -n '__affectkit_at "convert" 1 1' -F

# affectkit models
complete -c affectkit -n '__affectkit_at "models"' -l checkpoint -r -F -d 'Show what is in this checkpoint or run folder instead'
complete -c affectkit -n '__affectkit_at "models"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "models"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "models"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "models"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "models"' -l help -s h -d 'Show this message and exit'

# affectkit pull
complete -c affectkit -n '__affectkit_at "pull"' -l output -r -F -d 'Folder for the files. Default: the current folder'
complete -c affectkit -n '__affectkit_at "pull"' -l file -x -d 'Fetch these files of the record alone'
complete -c affectkit -n '__affectkit_at "pull"' -l list -d 'List the files and fetch none'
complete -c affectkit -n '__affectkit_at "pull"' -l checksum -x -d 'What the file at https://... must have; a record brings its own'
complete -c affectkit -n '__affectkit_at "pull"' -l force -d 'Replace files of other content'
complete -c affectkit -n '__affectkit_at "pull"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "pull"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "pull"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "pull"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "pull"' -l help -s h -d 'Show this message and exit'

# affectkit cache
complete -c affectkit -n '__affectkit_at "cache"' -l clear -d 'Remove the named stores, or all where none is named'
complete -c affectkit -n '__affectkit_at "cache"' -l older-than -x -d 'Those alone that were last used so many days ago'
complete -c affectkit -n '__affectkit_at "cache"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "cache"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "cache"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "cache"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "cache"' -l help -s h -d 'Show this message and exit'

# affectkit demo
complete -c affectkit -n '__affectkit_at "demo"' -l epochs -x -d 'Epochs of training. Default: 8'
complete -c affectkit -n '__affectkit_at "demo"' -l device -x -a '(__affectkit_words_3)' -d 'auto, cpu, cuda, cuda:N or mps. Default: auto'
complete -c affectkit -n '__affectkit_at "demo"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "demo"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "demo"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "demo"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "demo"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "demo" 0 0' -F

# affectkit doctor
complete -c affectkit -n '__affectkit_at "doctor"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "doctor"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "doctor"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "doctor"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "doctor"' -l help -s h -d 'Show this message and exit'

# affectkit completions
complete -c affectkit -n '__affectkit_at "completions"' -l write -r -F -d 'Write the scripts of all shells into this folder instead'
complete -c affectkit -n '__affectkit_at "completions"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "completions"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "completions"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "completions"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "completions"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "completions" 0 0' -a '(__affectkit_words_32)'

# affectkit prep
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a cremad -d 'CREMA-D: clips of actors, with the emotion acted and the votes of those...'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a rml -d 'RML: acted emotions of eight people in several languages'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a emovoxceleb -d 'EmoVoxCeleb: extracted frames and sounds, with a soft label a frame'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a av-features -d 'Features of images and speech that were computed elsewhere, for --model...'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a ferplus -d 'FER+: ten raters\' votes on the faces of FER-2013, by its authors\' rules'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a affectnet-fused -d 'AffectNetFused: probabilities of thirteen emotions, a small text file an image'
complete -c affectkit -n '__affectkit_at "prep" 0 0' -a schematic -d 'Schematic faces, drawn: a dataset for trying things out without a download'
complete -c affectkit -n '__affectkit_at "prep"' -l help -s h -d 'Show this message and exit'

# affectkit prep cremad
complete -c affectkit -n '__affectkit_at "prep cremad"' -l output -r -F -d 'Folder to make: tables, statistics and the store of clips'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l seed -x -d 'The split follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l workers -x -d 'Processes that decode clips. Default: one a processor'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a clip that cannot be used does. Default: fail'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l drop-copies -d 'Leave clips out of validation and test that are exact copies of clips in...'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l split -x -d 'actor: no actor in two parts; random; published-sizes: 5954, 744 and 744...'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l sizes -x -d 'Sizes of the parts for published-sizes'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l keep-faulty -d 'Also take the four clips that are known to be faulty'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l frames -x -a '(__affectkit_words_33)' -d 'window: the 31 frames around the middle; middle: that one alone'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l labels -x -a '(__affectkit_words_34)' -d 'intended: the emotion that was acted; votes: shares of the votes of those...'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l sound-level -x -a '(__affectkit_words_35)' -d 'As the published code reads the sound, or unit: full scale 1, for models...'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l size -x -d 'Height and width of the stored frames in pixels. Default: 128'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep cremad"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep cremad" 0 0' -F

# affectkit prep rml
complete -c affectkit -n '__affectkit_at "prep rml"' -l output -r -F -d 'Folder to make: tables, statistics and the store of clips'
complete -c affectkit -n '__affectkit_at "prep rml"' -l seed -x -d 'The split follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "prep rml"' -l workers -x -d 'Processes that decode clips. Default: one a processor'
complete -c affectkit -n '__affectkit_at "prep rml"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a clip that cannot be used does. Default: fail'
complete -c affectkit -n '__affectkit_at "prep rml"' -l drop-copies -d 'Leave clips out of validation and test that are exact copies of clips in...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l split -x -d 'user: nobody in two parts; random; or a CSV file with the columns filename...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l modify -x -a '(__affectkit_words_36)' -d 'Give each clip a skin hue, a pitch, or both, drawn by its name: features...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l label -x -a '(__affectkit_words_37)' -d 'What is to be told. Default: emotion'
complete -c affectkit -n '__affectkit_at "prep rml"' -l sound -x -a '(__affectkit_words_38)' -d 'rml: 256x256 of the central 2.5 s; pretrained: 512x512 and whole frames...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l sound-level -x -a '(__affectkit_words_35)' -d 'As the published code reads the sound, or unit: full scale 1, for models...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l size -x -d 'Height and width of the stored frames in pixels. Default: 128'
complete -c affectkit -n '__affectkit_at "prep rml"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep rml"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep rml"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep rml"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep rml"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep rml"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep rml" 0 0' -F

# affectkit prep emovoxceleb
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l output -r -F -d 'Folder to make: tables, statistics and the store of clips'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l seed -x -d 'The split follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l workers -x -d 'Processes that decode clips. Default: one a processor'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a clip that cannot be used does. Default: fail'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l drop-copies -d 'Leave clips out of validation and test that are exact copies of clips in...'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l split -x -d 'speaker: nobody in two parts; random; or a CSV file with the columns...'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l values -x -a '(__affectkit_words_39)' -d 'What labels.csv holds; auto: shares where all rows are such. Default: auto'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l follow-links -d 'Read files through links that lead out of the folder; those of git-annex...'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l size -x -d 'Height and width of the stored frames in pixels. Default: 128'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l max-pixels -x -d 'Largest width x height of a picture, as 200M'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep emovoxceleb" 0 0' -F

# affectkit prep av-features
complete -c affectkit -n '__affectkit_at "prep av-features"' -l output -r -F -d 'Folder to make: tables, statistics and the store of clips'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l seed -x -d 'The split follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l workers -x -d 'Processes that decode clips. Default: one a processor'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l on-error -x -a '(__affectkit_words_1)' -d 'What a clip that cannot be used does. Default: fail'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l drop-copies -d 'Leave clips out of validation and test that are exact copies of clips in...'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l split -x -d 'table: the column split of features.csv; user: nobody in two parts...'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l follow-links -d 'Read files through links that lead out of the folder; those of git-annex...'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l layer -x -d 'Layer of the audio features, from 1, where a file holds several. Default: 7'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep av-features"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep av-features" 0 0' -F

# affectkit prep ferplus
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l output -r -F -d 'Folder to make: tables and images'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l link -x -a '(__affectkit_words_40)' -d 'How image files get there. Default: copy'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l drop-copies -d 'Leave images out of validation and test that are exact copies of images in...'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l shard -x -d 'Write every N-th image alone, as the I-th of N runs; affectkit merge...'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l target -x -a '(__affectkit_words_41)' -d 'distribution: remaining votes of eight emotions; majority: images with a...'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep ferplus"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep ferplus" 0 0' -F

# affectkit prep affectnet-fused
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l output -r -F -d 'Folder to make: tables and images'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l link -x -a '(__affectkit_words_40)' -d 'How image files get there. Default: copy'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l drop-copies -d 'Leave images out of validation and test that are exact copies of images in...'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l shard -x -d 'Write every N-th image alone, as the I-th of N runs; affectkit merge...'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep affectnet-fused" 0 0' -F

# affectkit prep schematic
complete -c affectkit -n '__affectkit_at "prep schematic"' -l train -x -d 'Training faces. Default: 800'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l valid -x -d 'Validation faces. Default: 160'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l test -x -d 'Test faces. Default: 160'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l size -x -d 'Height and width in pixels. Default: 64'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l seed -x -d 'Everything random follows from it. Default: 0'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l shard -x -d 'Write every N-th image alone, as the I-th of N runs; affectkit merge...'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l slurm -x -d 'Submit this command as a Slurm job: time=4:00:00,partition=gpu,gpus=1...'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "prep schematic"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "prep schematic" 0 0' -F

# affectkit pipeline
complete -c affectkit -n '__affectkit_at "pipeline" 0 0' -a show -d 'Check a pipeline and show each transform: when it is applied, and its...'
complete -c affectkit -n '__affectkit_at "pipeline" 0 0' -a save -d 'Write the built-in pipeline as YAML, to be changed and given to datasplit...'
complete -c affectkit -n '__affectkit_at "pipeline"' -l help -s h -d 'Show this message and exit'

# affectkit pipeline show
complete -c affectkit -n '__affectkit_at "pipeline show"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "pipeline show"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "pipeline show"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "pipeline show"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "pipeline show"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "pipeline show" 0 0' -F

# affectkit pipeline save
complete -c affectkit -n '__affectkit_at "pipeline save"' -l force -d 'Replace a file that is there'
complete -c affectkit -n '__affectkit_at "pipeline save"' -l config -r -F -d 'YAML file with settings; flags win over it'
complete -c affectkit -n '__affectkit_at "pipeline save"' -l json -d 'Print one JSON object as the result'
complete -c affectkit -n '__affectkit_at "pipeline save"' -l quiet -s q -d 'No progress and no notes; warnings stay'
complete -c affectkit -n '__affectkit_at "pipeline save"' -l debug -d 'Show the traceback of an error'
complete -c affectkit -n '__affectkit_at "pipeline save"' -l help -s h -d 'Show this message and exit'
complete -c affectkit -n '__affectkit_at "pipeline save" 0 0' -F
