"""The main job: one unchanged program as a pod, a SageMaker job and a notebook's kernel run it. `python -m lyftlearn_local.demo`."""
