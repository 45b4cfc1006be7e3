"""The platform on a laptop: what SageMaker, Studio and the cluster give to a container, for `lyftlearn local` and the demo.

Never imported by the start path. Needs the extra `local`.
"""
