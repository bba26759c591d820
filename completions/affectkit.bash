# Completion of affectkit for bash, made by `affectkit completions --write completions`; do not edit.
# To install: copy this file to ~/.local/share/bash-completion/completions/affectkit, or write
# "source /path/to/affectkit.bash" into ~/.bashrc.

# What follows the commands $1: sets commands, options, arguments (what each is), rest (what all further ones are).
_affectkit_command() {
    commands=() options=() arguments=() rest=''
    case $1 in
        '')
            commands=(
                datasplit relabel train verify-resume test eval-corruptions corruptions probe infer merge
                quantiles convert models pull cache demo doctor completions prep pipeline
            )
            options=(--version --help -h)
            ;;
        datasplit)
            options=(
                --output-path --train-split --seed --group-by --on-error --balance --balance-train
                --balance-test --global-multiplier --pipeline-yaml --quality --preview --link --label-col
                --filename-col --plain-csv --workers --max-pixels --scheduler --dry-run --undo --force --slurm
                --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        relabel)
            options=(
                --labels-csv --output-path --dry-run --undo --force --slurm --config --json --quiet -q --debug
                --help -h
            )
            arguments=(files)
            ;;
        train)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --mode --mask --mask-init
                --mask-scale --mask-threshold --mask-penalty --quantizer --codes --hidden --stage
                --recon-scale --reset-mask --data --labels --test-data --test-labels --classes
                --ignore-columns --follow-links --rating-range --output --resume --force --val-fraction
                --drop-copies --augment --fit --cache --on-error --model --task --pretrained --no-pretrained
                --init --init-key --tune --image-size --start-size --channels --dropout --top --top-width --v1
                --clip --clip-weights --clip-activation --clip-normalise --include-clip --outputs --views
                --epochs --loss --optimizer --lr --momentum --weight-decay --schedule --warmup --lr-min
                --lr-peak --lr-cycle-end --lr-patience --step-size --milestones --gamma --accumulate
                --clip-norm --draw-labels --teacher --teacher-share --mixup --label-smoothing --class-weights
                --ema --early-stop --seed --monitor --deterministic --checkpoint-every --keep-epochs
                --keep-every --keep --calibrate --repeat --track --print-config --slurm --config --json
                --quiet -q --debug --help -h
            )
            ;;
        verify-resume)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --mode --mask --mask-init
                --mask-scale --mask-threshold --mask-penalty --quantizer --codes --hidden --stage
                --recon-scale --reset-mask --data --labels --test-data --test-labels --classes
                --ignore-columns --follow-links --rating-range --output --resume --force --val-fraction
                --drop-copies --augment --fit --cache --on-error --model --task --pretrained --no-pretrained
                --init --init-key --tune --image-size --start-size --channels --dropout --top --top-width --v1
                --clip --clip-weights --clip-activation --clip-normalise --include-clip --outputs --views
                --epochs --loss --optimizer --lr --momentum --weight-decay --schedule --warmup --lr-min
                --lr-peak --lr-cycle-end --lr-patience --step-size --milestones --gamma --accumulate
                --clip-norm --draw-labels --teacher --teacher-share --mixup --label-smoothing --class-weights
                --ema --early-stop --seed --monitor --deterministic --checkpoint-every --keep-epochs
                --keep-every --keep --calibrate --repeat --track --steps --images --keep-files --config --json
                --quiet -q --debug --help -h
            )
            ;;
        test)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --checkpoint --data
                --labels --classes --ignore-columns --follow-links --rating-range --clip-weights --mode --mask
                --split --on-error --alter --fit --drop-copies --results --force --fail-under --slurm --config
                --json --quiet -q --debug --help -h
            )
            ;;
        eval-corruptions)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --checkpoint --data
                --labels --classes --ignore-columns --follow-links --rating-range --clip-weights --mode --mask
                --split --on-error --cache --fit --corruptions --severities --scale --corrupted-root
                --frost-textures --save-images --seed --baseline --results --force --fail-under --slurm
                --config --json --quiet -q --debug --help -h
            )
            ;;
        corruptions)
            options=(
                --preview --corruptions --scale --size --seed --frost-textures --max-pixels --force --config
                --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        probe)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --checkpoint --data
                --labels --classes --ignore-columns --follow-links --rating-range --clip-weights --mode --mask
                --split --on-error --results --force --clips --sound --config --json --quiet -q --debug --help
                -h
            )
            ;;
        infer)
            options=(
                --device --precision --compile --batch-size --workers --max-pixels --checkpoint --results
                --labels --classes --ignore-columns --follow-links --rating-range --clip-weights --mode --mask
                --fit --faces --annotate --every --smooth --camera --seconds --format --recursive --shard
                --resume --force --on-error --slurm --config --json --quiet -q --debug --help -h
            )
            rest=files
            ;;
        merge)
            options=(--force --remove-parts --config --json --quiet -q --debug --help -h)
            arguments=(files)
            ;;
        quantiles)
            options=(
                --actual --predicted --bins --results --force --fail-under --config --json --quiet -q --debug
                --help -h
            )
            ;;
        convert)
            options=(
                --outputs --clip-weights --mode --mask --half --force --config --json --quiet -q --debug
                --help -h
            )
            arguments=(files files)
            ;;
        models)
            options=(--checkpoint --config --json --quiet -q --debug --help -h)
            ;;
        pull)
            options=(--output --file --list --checksum --force --config --json --quiet -q --debug --help -h)
            ;;
        cache)
            options=(--clear --older-than --config --json --quiet -q --debug --help -h)
            ;;
        demo)
            options=(--epochs --device --config --json --quiet -q --debug --help -h)
            arguments=(files)
            ;;
        doctor)
            options=(--config --json --quiet -q --debug --help -h)
            ;;
        completions)
            options=(--write --config --json --quiet -q --debug --help -h)
            arguments=('words 1')
            ;;
        prep)
            commands=(cremad rml emovoxceleb av-features ferplus affectnet-fused schematic)
            options=(--help -h)
            ;;
        'prep cremad')
            options=(
                --output --seed --workers --on-error --drop-copies --split --sizes --keep-faulty --frames
                --labels --sound-level --size --slurm --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        'prep rml')
            options=(
                --output --seed --workers --on-error --drop-copies --split --modify --label --sound
                --sound-level --size --slurm --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        'prep emovoxceleb')
            options=(
                --output --seed --workers --on-error --drop-copies --split --values --follow-links --size
                --max-pixels --slurm --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        'prep av-features')
            options=(
                --output --seed --workers --on-error --drop-copies --split --follow-links --layer --slurm
                --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        'prep ferplus')
            options=(
                --output --link --drop-copies --shard --target --slurm --config --json --quiet -q --debug
                --help -h
            )
            arguments=(files)
            ;;
        'prep affectnet-fused')
            options=(
                --output --link --drop-copies --shard --slurm --config --json --quiet -q --debug --help -h
            )
            arguments=(files)
            ;;
        'prep schematic')
            options=(
                --train --valid --test --size --seed --shard --slurm --config --json --quiet -q --debug --help
                -h
            )
            arguments=(files)
            ;;
        pipeline)
            commands=(show save)
            options=(--help -h)
            ;;
        'pipeline show')
            options=(--config --json --quiet -q --debug --help -h)
            arguments=(files)
            ;;
        'pipeline save')
            options=(--force --config --json --quiet -q --debug --help -h)
            arguments=(files)
            ;;
    esac
}

# The option $2 of the commands $1: sets takes (how many values follow) and kind (what they are).
_affectkit_option() {
    takes=0 kind=none
    case "$1 $2" in
        'datasplit --output-path' | 'datasplit --pipeline-yaml' | 'datasplit --preview' | \
        'datasplit --config' | 'relabel --labels-csv' | 'relabel --output-path' | 'relabel --config' | \
        'train --data' | 'train --labels' | 'train --test-data' | 'train --test-labels' | 'train --output' | \
        'train --resume' | 'train --init' | 'train --clip-weights' | 'train --config' | \
        'verify-resume --data' | 'verify-resume --labels' | 'verify-resume --test-data' | \
        'verify-resume --test-labels' | 'verify-resume --output' | 'verify-resume --resume' | \
        'verify-resume --init' | 'verify-resume --clip-weights' | 'verify-resume --keep-files' | \
        'verify-resume --config' | 'test --checkpoint' | 'test --data' | 'test --labels' | \
        'test --clip-weights' | 'test --results' | 'test --config' | 'eval-corruptions --checkpoint' | \
        'eval-corruptions --data' | 'eval-corruptions --labels' | 'eval-corruptions --clip-weights' | \
        'eval-corruptions --corrupted-root' | 'eval-corruptions --frost-textures' | \
        'eval-corruptions --save-images' | 'eval-corruptions --baseline' | 'eval-corruptions --results' | \
        'eval-corruptions --config' | 'corruptions --preview' | 'corruptions --frost-textures' | \
        'corruptions --config' | 'probe --checkpoint' | 'probe --data' | 'probe --labels' | \
        'probe --clip-weights' | 'probe --results' | 'probe --config' | 'infer --checkpoint' | \
        'infer --results' | 'infer --labels' | 'infer --clip-weights' | 'infer --annotate' | \
        'infer --config' | 'merge --config' | 'quantiles --results' | 'quantiles --config' | \
        'convert --clip-weights' | 'convert --config' | 'models --checkpoint' | 'models --config' | \
        'pull --output' | 'pull --config' | 'cache --config' | 'demo --config' | 'doctor --config' | \
        'completions --write' | 'completions --config' | 'prep cremad --output' | 'prep cremad --config' | \
        'prep rml --output' | 'prep rml --config' | 'prep emovoxceleb --output' | \
        'prep emovoxceleb --config' | 'prep av-features --output' | 'prep av-features --config' | \
        'prep ferplus --output' | 'prep ferplus --config' | 'prep affectnet-fused --output' | \
        'prep affectnet-fused --config' | 'prep schematic --config' | 'pipeline show --config' | \
        'pipeline save --config')
            takes=1 kind=files
            ;;
        'datasplit --train-split' | 'datasplit --seed' | 'datasplit --group-by' | \
        'datasplit --global-multiplier' | 'datasplit --quality' | 'datasplit --label-col' | \
        'datasplit --filename-col' | 'datasplit --workers' | 'datasplit --max-pixels' | \
        'datasplit --scheduler' | 'datasplit --slurm' | 'relabel --slurm' | 'train --batch-size' | \
        'train --workers' | 'train --max-pixels' | 'train --mask-scale' | 'train --mask-threshold' | \
        'train --mask-penalty' | 'train --codes' | 'train --hidden' | 'train --classes' | \
        'train --ignore-columns' | 'train --rating-range' | 'train --val-fraction' | 'train --init-key' | \
        'train --image-size' | 'train --start-size' | 'train --channels' | 'train --dropout' | \
        'train --top-width' | 'train --v1' | 'train --views' | 'train --epochs' | 'train --lr' | \
        'train --momentum' | 'train --weight-decay' | 'train --warmup' | 'train --lr-min' | \
        'train --lr-peak' | 'train --lr-cycle-end' | 'train --lr-patience' | 'train --step-size' | \
        'train --milestones' | 'train --gamma' | 'train --accumulate' | 'train --clip-norm' | \
        'train --teacher' | 'train --teacher-share' | 'train --mixup' | 'train --label-smoothing' | \
        'train --class-weights' | 'train --ema' | 'train --early-stop' | 'train --seed' | 'train --monitor' | \
        'train --checkpoint-every' | 'train --keep-every' | 'train --keep' | 'train --repeat' | \
        'train --slurm' | 'verify-resume --batch-size' | 'verify-resume --workers' | \
        'verify-resume --max-pixels' | 'verify-resume --mask-scale' | 'verify-resume --mask-threshold' | \
        'verify-resume --mask-penalty' | 'verify-resume --codes' | 'verify-resume --hidden' | \
        'verify-resume --classes' | 'verify-resume --ignore-columns' | 'verify-resume --rating-range' | \
        'verify-resume --val-fraction' | 'verify-resume --init-key' | 'verify-resume --image-size' | \
        'verify-resume --start-size' | 'verify-resume --channels' | 'verify-resume --dropout' | \
        'verify-resume --top-width' | 'verify-resume --v1' | 'verify-resume --views' | \
        'verify-resume --epochs' | 'verify-resume --lr' | 'verify-resume --momentum' | \
        'verify-resume --weight-decay' | 'verify-resume --warmup' | 'verify-resume --lr-min' | \
        'verify-resume --lr-peak' | 'verify-resume --lr-cycle-end' | 'verify-resume --lr-patience' | \
        'verify-resume --step-size' | 'verify-resume --milestones' | 'verify-resume --gamma' | \
        'verify-resume --accumulate' | 'verify-resume --clip-norm' | 'verify-resume --teacher' | \
        'verify-resume --teacher-share' | 'verify-resume --mixup' | 'verify-resume --label-smoothing' | \
        'verify-resume --class-weights' | 'verify-resume --ema' | 'verify-resume --early-stop' | \
        'verify-resume --seed' | 'verify-resume --monitor' | 'verify-resume --checkpoint-every' | \
        'verify-resume --keep-every' | 'verify-resume --keep' | 'verify-resume --repeat' | \
        'verify-resume --steps' | 'verify-resume --images' | 'test --batch-size' | 'test --workers' | \
        'test --max-pixels' | 'test --classes' | 'test --ignore-columns' | 'test --rating-range' | \
        'test --fail-under' | 'test --slurm' | 'eval-corruptions --batch-size' | \
        'eval-corruptions --workers' | 'eval-corruptions --max-pixels' | 'eval-corruptions --classes' | \
        'eval-corruptions --ignore-columns' | 'eval-corruptions --rating-range' | \
        'eval-corruptions --severities' | 'eval-corruptions --seed' | 'eval-corruptions --fail-under' | \
        'eval-corruptions --slurm' | 'corruptions --size' | 'corruptions --seed' | \
        'corruptions --max-pixels' | 'probe --batch-size' | 'probe --workers' | 'probe --max-pixels' | \
        'probe --classes' | 'probe --ignore-columns' | 'probe --rating-range' | 'probe --clips' | \
        'infer --batch-size' | 'infer --workers' | 'infer --max-pixels' | 'infer --classes' | \
        'infer --ignore-columns' | 'infer --rating-range' | 'infer --faces' | 'infer --every' | \
        'infer --smooth' | 'infer --camera' | 'infer --seconds' | 'infer --shard' | 'infer --slurm' | \
        'quantiles --actual' | 'quantiles --predicted' | 'quantiles --bins' | 'quantiles --fail-under' | \
        'pull --file' | 'pull --checksum' | 'cache --older-than' | 'demo --epochs' | 'prep cremad --seed' | \
        'prep cremad --workers' | 'prep cremad --split' | 'prep cremad --sizes' | 'prep cremad --size' | \
        'prep cremad --slurm' | 'prep rml --seed' | 'prep rml --workers' | 'prep rml --split' | \
        'prep rml --size' | 'prep rml --slurm' | 'prep emovoxceleb --seed' | 'prep emovoxceleb --workers' | \
        'prep emovoxceleb --split' | 'prep emovoxceleb --size' | 'prep emovoxceleb --max-pixels' | \
        'prep emovoxceleb --slurm' | 'prep av-features --seed' | 'prep av-features --workers' | \
        'prep av-features --split' | 'prep av-features --layer' | 'prep av-features --slurm' | \
        'prep ferplus --shard' | 'prep ferplus --slurm' | 'prep affectnet-fused --shard' | \
        'prep affectnet-fused --slurm' | 'prep schematic --train' | 'prep schematic --valid' | \
        'prep schematic --test' | 'prep schematic --size' | 'prep schematic --seed' | \
        'prep schematic --shard' | 'prep schematic --slurm')
            takes=1 kind=none
            ;;
        'datasplit --on-error' | 'train --on-error' | 'verify-resume --on-error' | 'test --on-error' | \
        'eval-corruptions --on-error' | 'probe --on-error' | 'infer --on-error' | 'prep cremad --on-error' | \
        'prep rml --on-error' | 'prep emovoxceleb --on-error' | 'prep av-features --on-error')
            takes=1 kind='words 2'
            ;;
        'datasplit --link')
            takes=1 kind='words 3'
            ;;
        'train --device' | 'verify-resume --device' | 'test --device' | 'eval-corruptions --device' | \
        'probe --device' | 'infer --device' | 'demo --device')
            takes=1 kind='words 4'
            ;;
        'train --precision' | 'verify-resume --precision' | 'test --precision' | \
        'eval-corruptions --precision' | 'probe --precision' | 'infer --precision')
            takes=1 kind='words 5'
            ;;
        'train --mode' | 'verify-resume --mode' | 'test --mode' | 'eval-corruptions --mode' | 'probe --mode' | \
        'infer --mode' | 'convert --mode')
            takes=1 kind='words 6'
            ;;
        'train --mask' | 'verify-resume --mask' | 'test --mask' | 'eval-corruptions --mask' | 'probe --mask' | \
        'infer --mask' | 'convert --mask')
            takes=1 kind='words 7'
            ;;
        'train --mask-init' | 'verify-resume --mask-init')
            takes=1 kind='words 8'
            ;;
        'train --quantizer' | 'verify-resume --quantizer')
            takes=1 kind='words 9'
            ;;
        'train --stage' | 'verify-resume --stage')
            takes=1 kind='words 10'
            ;;
        'train --recon-scale' | 'verify-resume --recon-scale')
            takes=1 kind='words 11'
            ;;
        'train --augment' | 'verify-resume --augment')
            takes=1 kind='words 12'
            ;;
        'train --fit' | 'verify-resume --fit' | 'test --fit' | 'eval-corruptions --fit' | 'infer --fit')
            takes=1 kind='words 13'
            ;;
        'train --cache' | 'verify-resume --cache' | 'eval-corruptions --cache')
            takes=1 kind='words 14'
            ;;
        'train --model' | 'verify-resume --model')
            takes=1 kind='words 15'
            ;;
        'train --task' | 'verify-resume --task')
            takes=1 kind='words 16'
            ;;
        'train --tune' | 'verify-resume --tune')
            takes=1 kind='words 17'
            ;;
        'train --top' | 'verify-resume --top')
            takes=1 kind='words 18'
            ;;
        'train --clip' | 'verify-resume --clip')
            takes=1 kind='words 19'
            ;;
        'train --clip-activation' | 'verify-resume --clip-activation')
            takes=1 kind='words 20'
            ;;
        'train --outputs' | 'verify-resume --outputs')
            takes=1 kind='words 21'
            ;;
        'train --loss' | 'verify-resume --loss')
            takes=1 kind='words 22'
            ;;
        'train --optimizer' | 'verify-resume --optimizer')
            takes=1 kind='words 23'
            ;;
        'train --schedule' | 'verify-resume --schedule')
            takes=1 kind='words 24'
            ;;
        'train --calibrate' | 'verify-resume --calibrate')
            takes=1 kind='words 25'
            ;;
        'train --track' | 'verify-resume --track')
            takes=1 kind='words 26'
            ;;
        'test --split' | 'eval-corruptions --split' | 'probe --split')
            takes=1 kind='words 27'
            ;;
        'test --alter')
            takes=1 kind='words 28'
            ;;
        'eval-corruptions --corruptions' | 'corruptions --corruptions')
            takes=1 kind='words 29'
            ;;
        'eval-corruptions --scale' | 'corruptions --scale')
            takes=1 kind='words 30'
            ;;
        'infer --format')
            takes=1 kind='words 31'
            ;;
        'convert --outputs')
            takes=1 kind='words 32'
            ;;
        'prep cremad --frames')
            takes=1 kind='words 33'
            ;;
        'prep cremad --labels')
            takes=1 kind='words 34'
            ;;
        'prep cremad --sound-level' | 'prep rml --sound-level')
            takes=1 kind='words 35'
            ;;
        'prep rml --modify')
            takes=1 kind='words 36'
            ;;
        'prep rml --label')
            takes=1 kind='words 37'
            ;;
        'prep rml --sound')
            takes=1 kind='words 38'
            ;;
        'prep emovoxceleb --values')
            takes=1 kind='words 39'
            ;;
        'prep ferplus --link' | 'prep affectnet-fused --link')
            takes=1 kind='words 40'
            ;;
        'prep ferplus --target')
            takes=1 kind='words 41'
            ;;
    esac
}

# List number $1: sets words.
_affectkit_words() {
    words=()
    case $1 in
        1)
            words=(bash zsh fish powershell)
            ;;
        2)
            words=(fail skip)
            ;;
        3)
            words=(copy hardlink symlink reflink)
            ;;
        4)
            words=(auto cpu cuda mps)
            ;;
        5)
            words=(auto fp32 tf32 bf16 fp16)
            ;;
        6)
            words=(multimodal image-only audio-only)
            ;;
        7)
            words=(binarizer ternarizer attention randomizer)
            ;;
        8)
            words=(1s uniform)
            ;;
        9)
            words=(ema plain)
            ;;
        10)
            words=(joint autoencoder solver)
            ;;
        11)
            words=(none variance)
            ;;
        12)
            words=(none flip face face-strong face-crop imagenet vca)
            ;;
        13)
            words=(stretch crop imagenet pad)
            ;;
        14)
            words=(auto ram none)
            ;;
        15)
            words=(
                resnet18 resnet34 resnet50 resnet101 resnet152 efficientnet_b0 mobilenetv3_small_100
                convnext_tiny vit_small_patch16_224 vit_base_patch16_224 vca face-seresnet resnet50_plain
                resnet50_center_surround resnet50_local_rf resnet50_cortical_magnification resnet50_tuned_norm
                resnet50_div_norm resnet50_composite_a resnet50_composite_b resnet50_composite_c
                resnet50_composite_d resnet50_composite_e resnet50_composite_f resnet50_composite_g
                resnet50_v1 cmvqvae cmvqvae-baseline1 cmvqvae-baseline2 cmvqvae-baseline3 cmvqvae-baseline4
                cmvqvae-features
            )
            ;;
        16)
            words=(auto distribution classification audiovisual ratings)
            ;;
        17)
            words=(all last)
            ;;
        18)
            words=(linear mlp vgg vgg-avg)
            ;;
        19)
            words=(ViT-L-14 ViT-B-32)
            ;;
        20)
            words=(auto quickgelu gelu)
            ;;
        21)
            words=(both arousal valence)
            ;;
        22)
            words=(mse l1 kl ce js vca ccc)
            ;;
        23)
            words=(sgd adam adamw)
            ;;
        24)
            words=(constant step multistep cosine plateau cyclic cyclic_plateau)
            ;;
        25)
            words=(auto labels none)
            ;;
        26)
            words=(none wandb)
            ;;
        27)
            words=(train valid test all)
            ;;
        28)
            words=(
                gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow
                frost fog brightness contrast elastic_transform pixelate jpeg_compression speckle_noise
                gaussian_blur spatter saturate noise color lighting grayscale mirror framing
            )
            ;;
        29)
            words=(
                benchmark validation all alterations gaussian_noise shot_noise impulse_noise defocus_blur
                glass_blur motion_blur zoom_blur snow frost fog brightness contrast elastic_transform pixelate
                jpeg_compression speckle_noise gaussian_blur spatter saturate noise color lighting grayscale
                mirror framing
            )
            ;;
        30)
            words=(auto cifar tiny imagenet)
            ;;
        31)
            words=(csv jsonl parquet)
            ;;
        32)
            words=(valence arousal)
            ;;
        33)
            words=(window middle)
            ;;
        34)
            words=(intended votes)
            ;;
        35)
            words=(published unit)
            ;;
        36)
            words=(none skin pitch both)
            ;;
        37)
            words=(emotion skin pitch user)
            ;;
        38)
            words=(rml pretrained)
            ;;
        39)
            words=(auto logits shares)
            ;;
        40)
            words=(copy hardlink)
            ;;
        41)
            words=(distribution majority)
            ;;
    esac
}

# Offers $1 and $2 put together. Of what stands before the cursor, bash replaces only what follows the last =, : or @,
# so what precedes that is taken away again.
_affectkit_offer() {
    local text=$2
    [[ $text == *[^][:alnum:]_.,:=+@%/^-]* && ${3-} != file ]] && printf -v text %q "$text"
    text=$1$text
    COMPREPLY+=("${text#"$keep"}")
}

# Offers what has the kind $1 and begins with $2; $3 (an option and =) stands before it.
_affectkit_value() {
    local name flag=-f
    local -a words
    case $1 in
        words*)
            _affectkit_words "${1#words }"
            for name in ${words[@]+"${words[@]}"}; do
                [[ $name == "$2"* ]] && _affectkit_offer "$3" "$name"
            done
            ;;
        files | folders)
            [[ $1 == folders ]] && flag=-d
            if [[ $2 == *[\'\"\\]* ]]; then # readline completes what is quoted better than this can
                [[ $flag == -d ]] && compopt -o dirnames 2>/dev/null || compopt -o default 2>/dev/null
                return
            fi
            compopt -o filenames 2>/dev/null # slashes behind folders, backslashes before blanks
            while IFS= read -r name; do
                _affectkit_offer "$3" "$name" file
            done < <(compgen "$flag" -- "$2")
            ;;
    esac
}

_affectkit() {
    COMPREPLY=()
    local i part touches line=${COMP_LINE-} current= keep= tail
    local -a typed=()
    [[ -n $line && -n ${COMP_POINT-} ]] && line=${line:0:COMP_POINT}
    # bash cuts words at =, : and @ as well; pieces that touch are put together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]-}
        touches=
        if [[ -n ${COMP_LINE-} ]]; then
            if ((i == 0)); then
                line=${line#*"$part"}
            else
                [[ -n $line && $line != [[:space:]]* ]] && touches=1
                line=${line#"${line%%[![:space:]]*}"}
                ((i == COMP_CWORD)) && part=$line
                line=${line#"$part"}
            fi
        elif ((i > 1)) && [[ $part == [=:@] || ${COMP_WORDS[i - 1]} == [=:@] ]]; then
            touches=1
        fi
        if [[ -n $touches ]] && ((${#typed[@]} > 1)); then
            typed[${#typed[@]} - 1]+=$part
        else
            typed+=("$part")
        fi
    done
    current=${typed[${#typed[@]} - 1]}
    tail=$current
    [[ ${COMP_WORDBREAKS-} == *=* ]] && tail=${tail##*=}
    [[ ${COMP_WORDBREAKS-} == *:* ]] && tail=${tail##*:}
    [[ ${COMP_WORDBREAKS-} == *@* ]] && tail=${tail##*@}
    keep=${current%"$tail"}

    local path= position=0 skip=0 ended= takes=0 kind=none rest= word name
    local -a commands options arguments
    _affectkit_command ''
    for ((i = 1; i < ${#typed[@]} - 1; i++)); do
        word=${typed[i]}
        if ((skip > 0)); then
            skip=$((skip - 1))
        elif [[ -n $ended ]]; then
            position=$((position + 1))
        elif [[ $word == -- ]]; then
            ended=1
        elif [[ $word == -?* ]]; then
            _affectkit_option "$path" "$word"
            skip=$takes
        else
            for name in ${commands[@]+"${commands[@]}"} ''; do
                [[ $name == "$word" ]] && break
            done
            if [[ -n $name ]]; then
                path="${path:+$path }$name" position=0
                _affectkit_command "$path"
            else
                position=$((position + 1))
            fi
        fi
    done

    if ((skip > 0)); then
        _affectkit_value "$kind" "$current" ''
    elif [[ -z $ended && $current == --*=* ]]; then
        _affectkit_option "$path" "${current%%=*}"
        _affectkit_value "$kind" "${current#*=}" "${current%%=*}="
    elif [[ -z $ended && $current == -* ]]; then
        for name in ${options[@]+"${options[@]}"}; do
            [[ $name == "$current"* ]] && _affectkit_offer '' "$name"
        done
    elif ((${#commands[@]} > 0)); then
        for name in "${commands[@]}"; do
            [[ $name == "$current"* ]] && _affectkit_offer '' "$name"
        done
    else
        _affectkit_value "${arguments[position]-$rest}" "$current" ''
    fi
    return 0
}

complete -F _affectkit affectkit
