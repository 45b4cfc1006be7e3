"""What is kept between the jobs of a SageMaker warm pool."""
